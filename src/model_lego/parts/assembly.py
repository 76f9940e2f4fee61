"""The noun Assembly: parts side by side or as one dense network, the head behind them, and the classes it tells."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.parts.at_once import Pace
from model_lego.parts.classifier import Classifier
from model_lego.parts.component import Component
from model_lego.parts.grouping import Groups, columns_of, counted_as, group_of, merged
from model_lego.parts.join_record import HeadState, JoinRecord, Layout
from model_lego.parts.layer_inputs import pooled, run_and_hear
from model_lego.parts.verdict import Verdict

#: The class of an assembly for images that belong to none of its parts.
NONE_OF_THESE = "none of these"


class Head(nn.Module):
    """What makes an assembly's logits: inputs * scale + shift, or a full matrix (`weight` x inputs + shift).

    The inputs are the joined logits, or, where it `reads` layers (their paths, part by part), the joined features. The
    identity unless something was fitted.
    """

    def __init__(self, kind: str, weight: Tensor, shift: Tensor, *, reads: Sequence[Sequence[str]] = ()) -> None:
        super().__init__()
        self.kind = kind
        self.reads = tuple(tuple(layers) for layers in reads)
        self.register_buffer("weight", weight)  # classes (per-logit factors) or classes x inputs
        self.register_buffer("shift", shift)  # classes

    weight: Tensor
    shift: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """Map joined logits or features, batch x inputs, to the assembly's logits, batch x classes."""
        if self.weight.dim() == 1:
            return inputs * self.weight + self.shift
        return F.linear(inputs, self.weight, self.shift)

    @staticmethod
    def identity(width: int, *, dtype: torch.dtype = torch.float32) -> "Head":
        """Leave the joined logits as they are."""
        return Head("concat", torch.ones(width, dtype=dtype), torch.zeros(width, dtype=dtype))


class Assembly(Classifier):
    """A classifier built from parts; called on images it gives logits in the order of `.classes`.

    `parallel` keeps the parts side by side, each with its own preprocessing, and a part may be an assembly itself;
    `padded` holds one dense network of the parts' own class in `padded`, and `parts` is empty then. The head tells the
    `terms` apart (the classes, unless it says otherwise), and the members of a group are merged behind it. It is whole
    from the start and is not changed afterwards. `record` tells how it was put together; without one the head counts
    as made for these parts.
    """

    def __init__(
        self,
        parts: Sequence["Component | Assembly"],
        *,
        layout: Layout,
        classes: Sequence[str],
        head: Head,
        terms: Sequence[str] | None = None,
        groups: Groups = MappingProxyType({}),
        padded: Component | None = None,
        record: JoinRecord | None = None,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts if padded is None else [])
        self.padded = padded
        self.layout: Layout = layout
        self.classes = tuple(classes)
        self.terms = tuple(classes if terms is None else terms)
        self.groups = dict(groups)
        self.columns = columns_of(self.classes, self.terms, self.groups)
        self.head = head
        self.record = record or JoinRecord(HeadState.FITTED)
        self._pace = Pace()

    @property
    def settings(self) -> dict[str, Any]:
        """The record as JSON values, for people and other programs; changing them changes nothing."""
        reads = {"head_reads": [list(layers) for layers in self.head.reads]} if self.head.reads else {}
        groups = {"groups": {name: list(members) for name, members in self.groups.items()}} if self.groups else {}
        return {"layout": self.layout, "head": self.head.kind} | groups | reads | self.record.settings()

    @property
    def verdict(self) -> Verdict | None:
        """How it does beside its parts, where that was measured."""
        return self.record.verdict

    def with_verdict(self, verdict: Verdict | None) -> "Assembly":
        """The same networks and head under another verdict."""
        return self.with_record(replace(self.record, verdict=verdict))

    def with_record(self, record: JoinRecord) -> "Assembly":
        """The same networks and head under another record."""
        made = Assembly(
            [] if self.padded is not None else self.networks(),
            layout=self.layout,
            classes=self.classes,
            head=self.head,
            terms=self.terms,
            groups=self.groups,
            padded=self.padded,
            record=record,
        )
        made.training, made.parts.training = self.training, self.parts.training
        return made

    def forward(self, images: Tensor) -> Tensor:
        """Give logits, batch x len(classes)."""
        return self.both(images)[0]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give the assembly's logits and, of the same pass, its parts' own side by side."""
        if self.head.reads:
            features, joined = self.features(images, self.head.reads)
        else:
            features = joined = self.joined(images)
        return self.told(self.head(features)), joined

    def told(self, terms: Tensor) -> Tensor:
        """Give the logits of the classes, of those that the head gives for the terms."""
        return merged(terms, self.columns)

    def features(self, images: Tensor, layers: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Give what some layers of each part read, one vector an image, side by side; and the parts' own logits.

        `layers` are paths in each part's module (in `padded`'s for that layout), as in `.head.reads`.
        """
        return features_and_logits([*leaves(self)], images, layers, self._pace)

    def networks(self) -> list["Component | Assembly"]:
        """The parts that run, or the one dense network."""
        return [self.padded] if self.padded is not None else list(self.parts)  # type: ignore[arg-type]

    def owned(self) -> list[tuple[str, ...]]:
        """Give the classes of each part; in a padded network these have the part's number in front."""
        return owned_classes(self.networks(), self.layout)

    def aliases(self) -> dict[str, str]:
        """Names of members of groups, here and in parts that are assemblies, and the class that each counts as."""
        return aliases_of(self.networks(), self.terms, self.groups)

    def joined(self, images: Tensor) -> Tensor:
        """Give the parts' own logits side by side, before the head."""
        if self.padded is not None:
            return self.padded(images)  # type: ignore[no-any-return]
        return side_by_side(self.networks(), images, self._pace)

    def __str__(self) -> str:
        lacks = f"; {self.record.lacks}" if self.record.lacks else ""
        judged = "" if self.verdict is None else f"; {self.verdict}"
        return f"Assembly({self.layout}; {', '.join(self.classes)}; head {self.head.kind}{lacks}{judged})"


#: What an assembly is made of.
Part = Component | Assembly


def leaves(*parts: Part) -> Iterator[Component]:
    """The components that parts are made of in the end."""
    for part in parts:
        if isinstance(part, Component):
            yield part
        else:
            yield from leaves(*part.networks())


def numbered(part: Part, number: str = "") -> Iterator[tuple[str, Component]]:
    """The components that a part is made of, with their numbers: 1, 2.1 and so on; none for itself, or one padded."""
    if isinstance(part, Component):
        yield number, part
    elif part.padded is not None:
        yield number, part.padded
    else:
        for place, inner in enumerate(part.networks(), 1):
            yield from numbered(inner, f"{number}.{place}" if number else str(place))


def rejects(part: Part) -> bool:
    """Whether a part has the class "none of these" for images that are of none of its classes, its last one then.

    Assemblies have it beside the classes of their parts, and what was distilled from them; a class of a network that is
    called so is one like others.
    """
    if isinstance(part, Assembly):
        return part.classes[-1] == NONE_OF_THESE and not any(NONE_OF_THESE in owned for owned in part.owned())
    return any(training.get("rejects", False) for training in part.origin.settings.get("distilled", ()))


def told_classes(part: Part) -> tuple[str, ...]:
    """The classes that images may have: all of a part but "none of these", which no data has."""
    return part.classes[:-1] if rejects(part) else part.classes


def own_classes(part: Part) -> tuple[str, ...]:
    """The classes that a part brings into an assembly: all but an assembly's "none of these", which is of its own."""
    return told_classes(part) if isinstance(part, Assembly) else part.classes


def aliases_in(parts: Sequence[Part], terms: Sequence[str]) -> dict[str, str]:
    """Names of classes inside parts that are assemblies, by the class that the part counts them as."""
    known: dict[str, str] = {}
    for part in parts:
        inner = part.aliases() if isinstance(part, Assembly) else {}
        known |= {name: told for name, told in inner.items() if name not in terms and name not in known}
    return known


def aliases_of(parts: Sequence[Part], terms: Sequence[str], groups: Groups) -> dict[str, str]:
    """The same by the classes of an assembly of these parts, which has the terms by groups."""
    group = group_of(groups)
    known = {name: group.get(term, term) for name, term in aliases_in(parts, terms).items()} | group
    classes = counted_as(terms, group)
    return {name: told for name, told in known.items() if name not in classes}


def counted_by(part: Part, names: Sequence[str]) -> tuple[str, ...]:
    """What a part counts classes as: a member of a group as the group."""
    return counted_as(names, part.aliases()) if isinstance(part, Assembly) else tuple(names)


def side_by_side(networks: Sequence[Part], images: Tensor, pace: Pace | None = None) -> Tensor:
    """Give the logits of each network for its own classes, side by side."""
    calls = [partial(_own_logits, network, images) for network in networks]
    return torch.cat((pace or Pace()).run(networks, images, calls), dim=1)


def _own_logits(part: Part, images: Tensor) -> Tensor:
    logits: Tensor = part(images)
    own = len(own_classes(part))
    return logits if own == len(part.classes) else logits[:, :own]  # "none of these" is the last


def features_and_logits(
    networks: Sequence[Component], images: Tensor, layers: Sequence[Sequence[str]], pace: Pace | None = None
) -> tuple[Tensor, Tensor]:
    """Give what some layers of each network read, one vector an image, side by side; and the networks' logits."""
    features, logits = [], []
    calls = [
        partial(run_and_hear, network, [f"module.{path}" for path in paths], images)
        for network, paths in zip(networks, layers, strict=True)
    ]
    for network, (given, heard) in zip(networks, (pace or Pace()).run(networks, images, calls), strict=True):
        logits.append(given)
        for path, x in heard.items():
            features.append(pooled(x, network.get_submodule(path)))
    return torch.cat(features, 1), torch.cat(logits, 1)


def owned_classes(networks: Sequence[Part], layout: Layout) -> list[tuple[str, ...]]:
    """Give the classes of each part of an assembly of these networks; "1.cat" in a padded one is part 1's "cat"."""
    if layout == "parallel":
        return [own_classes(network) for network in networks]
    pairs = [name.split(".", 1) for network in networks for name in network.classes]
    return [tuple(name for _, name in group) for _, group in groupby(pairs, key=lambda pair: pair[0])]

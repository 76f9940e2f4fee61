"""The noun Assembly: components side by side or as one dense network, and the head behind them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.parts.classifier import Classifier
from model_lego.parts.component import Component
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
    """A classifier built from components; called on images it gives logits in the order of `.classes`.

    `parallel` keeps the parts side by side, each with its own preprocessing; `padded` holds one dense network of the
    parts' own class in `padded`, and `parts` is empty then. It is whole from the start and is not changed afterwards.
    `record` tells how it was put together; without one the head counts as made for these parts.
    """

    def __init__(
        self,
        parts: Sequence[Component],
        *,
        layout: Layout,
        classes: Sequence[str],
        head: Head,
        padded: Component | None = None,
        record: JoinRecord | None = None,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts if padded is None else [])
        self.padded = padded
        self.layout: Layout = layout
        self.classes = tuple(classes)
        self.head = head
        self.record = record or JoinRecord(HeadState.FITTED)

    @property
    def settings(self) -> dict[str, Any]:
        """The record as JSON values, for people and other programs; changing them changes nothing."""
        reads = {"head_reads": [list(layers) for layers in self.head.reads]} if self.head.reads else {}
        return {"layout": self.layout, "head": self.head.kind} | reads | self.record.settings()

    @property
    def verdict(self) -> Verdict | None:
        """How it does beside its parts, where that was measured."""
        return self.record.verdict

    def with_verdict(self, verdict: Verdict | None) -> "Assembly":
        """The same networks and head under another verdict."""
        return self.with_record(replace(self.record, verdict=verdict))

    def with_record(self, record: JoinRecord) -> "Assembly":
        """The same networks and head under another record."""
        parts = [] if self.padded is not None else self.networks()
        made = Assembly(
            parts, layout=self.layout, classes=self.classes, head=self.head, padded=self.padded, record=record
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
        return self.head(features), joined

    def features(self, images: Tensor, layers: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Give what some layers of each part read, one vector an image, side by side; and the parts' own logits.

        `layers` are paths in each part's module (in `padded`'s for that layout), as in `.head.reads`.
        """
        return features_and_logits(self.networks(), images, layers)

    def networks(self) -> list[Component]:
        """The components that run: the parts, or the one dense network."""
        return [self.padded] if self.padded is not None else list(self.parts)  # type: ignore[arg-type]

    def owned(self) -> list[tuple[str, ...]]:
        """Give the classes of each part; in a padded network these have the part's number in front."""
        return owned_classes(self.networks(), self.layout)

    def joined(self, images: Tensor) -> Tensor:
        """Give the parts' own logits side by side, before the head."""
        if self.padded is not None:
            return self.padded(images)  # type: ignore[no-any-return]
        return side_by_side(self.networks(), images)

    def __str__(self) -> str:
        lacks = f"; {self.record.lacks}" if self.record.lacks else ""
        judged = "" if self.verdict is None else f"; {self.verdict}"
        return f"Assembly({self.layout}; {', '.join(self.classes)}; head {self.head.kind}{lacks}{judged})"


def side_by_side(networks: Sequence[Component], images: Tensor) -> Tensor:
    """Give the logits of each network, side by side."""
    return torch.cat([network(images) for network in networks], dim=1)


def features_and_logits(
    networks: Sequence[Component], images: Tensor, layers: Sequence[Sequence[str]]
) -> tuple[Tensor, Tensor]:
    """Give what some layers of each network read, one vector an image, side by side; and the networks' logits."""
    features, logits = [], []
    for network, paths in zip(networks, layers, strict=True):
        given, heard = run_and_hear(network, [f"module.{path}" for path in paths], images)
        logits.append(given)
        for path, x in heard.items():
            features.append(pooled(x, network.get_submodule(path)))
    return torch.cat(features, 1), torch.cat(logits, 1)


def owned_classes(networks: Sequence[Component], layout: Layout) -> list[tuple[str, ...]]:
    """Give the classes of each part of an assembly of these networks; "1.cat" in a padded one is part 1's "cat"."""
    if layout == "parallel":
        return [network.classes for network in networks]
    pairs = [name.split(".", 1) for network in networks for name in network.classes]
    return [tuple(name for _, name in group) for _, group in groupby(pairs, key=lambda pair: pair[0])]

"""Can a network be taken apart, and how far: diagnose."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.cutting.canonizing import can_be_plain, plain_layers
from model_lego.cutting.tracing import keeps_fewer_classes, trace
from model_lego.graph import RULES, ChannelGraph, ChannelSelection, select
from model_lego.graph.cost import cost_of, planned_cost
from model_lego.graph.rule import OpRule
from model_lego.parts.origin import Cost
from model_lego.parts.wrappers import unwrapped

#: Layers of a reason that the printed text names at most.
NAMED = 4


@dataclass(frozen=True, slots=True)
class FrozenGroup:
    """Channels that go together and cannot be cut, or not all of them: who writes them, how many, and why."""

    name: str
    channels: int
    frozen: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How far a network can be taken apart.

    `whole` is what it costs; `half` with half of the channels of every group that can be cut; `least` with one of them.
    `reasons` are the operators and lines that hold channels, with the layers where they stand; `dropped` the modules
    that a component does not get, as eval mode does without them.
    """

    network: str
    image: tuple[int, ...]  # channels x height x width
    layers: int
    groups: int
    channels: int
    cuttable: int
    whole: Cost
    half: Cost
    least: Cost
    frozen: tuple[FrozenGroup, ...]
    reasons: Mapping[str, tuple[str, ...]]
    dropped: tuple[str, ...]
    computed: bool  # whether layers compute their weight, or are torch's attention, which `canonize` makes plain
    plain: tuple[str, ...]  # the layers that it made plain
    fewer: bool = True  # whether some of its classes can be kept alone
    taken: str = ""  # which element of what the network gives are the logits, where it gives more than these

    @property
    def share(self) -> float:
        """Share of the parameters that can be cut, in %."""
        return 100 * (1 - self.least.parameters / max(self.whole.parameters, 1))

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self) | {"cuttable_percent": self.share}

    def __str__(self) -> str:
        size = " x ".join(map(str, self.image))
        lines = [
            f"{self.network} on images of {size}: can be taken apart",
            f"  {self.layers} layers; {self.cuttable:,} of {self.channels:,} channels can be cut",
            f"  {len(self.frozen)} of {self.groups} groups of channels are kept, wholly or in part",
            *(_priced(words, cost, self.whole) for words, cost in self._costs()),
        ]
        if not self.fewer:
            lines.append("  only all of its classes together can be kept: their number is written into the forward")
        if self.taken:
            lines.append(f"  its logits are taken from what it gives as output{self.taken}")
        for reason, places in self.reasons.items():
            lines.append(f"  kept whole: {reason}: {_named(places)}")
        lines += [f"  left out of components: {path} (not used in eval mode)" for path in self.dropped]
        if self.computed:
            lines.append(
                "  canonize makes computed weights and torch's attention plain, so that most of these layers can be cut"
            )
        if self.plain:
            lines.append(f"  made plain: {_named(self.plain)}, whose weights or widths the forward computed")
        return "\n".join(lines)

    def _costs(self) -> tuple[tuple[str, Cost], ...]:
        return (
            ("uncut", self.whole),
            ("half of each group", self.half),
            ("one of each group", self.least),
        )


def diagnose(model: nn.Module, example: Tensor, *, rules: Mapping[object, OpRule] = RULES) -> Diagnosis:
    """Find out how far a network can be taken apart; it is left as it is, and nothing is cut.

    `example` is one image or a batch (B x C x H x W). Raises UnsupportedOpError, RefusedError, TraceFailed,
    ShapeMismatch: then it cannot be taken apart, and the message says why.
    """
    model = unwrapped(model)
    graph = trace(model, example, rules=rules)
    reasons: dict[str, dict[str, None]] = {}
    for freeze in graph.freezes:
        reasons.setdefault(freeze.reason, {})[freeze.where] = None
    inside = ~graph.is_head
    inside[graph.births[(-1, 0)]] = False
    return Diagnosis(
        network=type(model).__name__,
        image=graph.program.image_shape,
        layers=len(graph.layers),
        groups=len(graph.groups),
        channels=int(inside.sum()),
        cuttable=int(graph.cuttable.sum()),
        whole=cost_of(model, graph.program, rules=rules),
        half=planned_cost(model, graph, _keep(graph, half=True)),
        least=planned_cost(model, graph, _keep(graph, half=False)),
        frozen=tuple(
            FrozenGroup(group.name, len(group.channels), int(graph.frozen[group.channels].sum()), group.frozen)
            for group in graph.groups
            if bool(graph.frozen[group.channels].any())
        ),
        reasons={reason: tuple(places) for reason, places in reasons.items()},
        dropped=graph.spare,
        computed=can_be_plain(model, graph),
        plain=tuple(plain_layers(model)),
        fewer=keeps_fewer_classes(model, graph, example, range(len(graph.head) - 1)) if len(graph.head) > 1 else True,
        taken=graph.program.taken,
    )


def _keep(graph: ChannelGraph, *, half: bool) -> ChannelSelection:
    """Every second cuttable channel of each group, or one where nothing more has to stay."""
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    for group in graph.groups if half else ():
        free = group.channels[graph.cuttable[group.channels]]
        wanted[free[::2]] = True
    return select(graph, wanted, logits=range(len(graph.head)))


def _named(places: Sequence[str]) -> str:
    named = ", ".join(place or "(the network itself)" for place in places[:NAMED])
    return named + (f" and {len(places) - NAMED} more" if len(places) > NAMED else "")


def _priced(words: str, cost: Cost, whole: Cost) -> str:
    return (
        f"  {words}: {cost.parameters:,} parameters ({100 * cost.parameters / max(whole.parameters, 1):.1f} %), "
        f"{cost.macs:,} multiply-adds ({100 * cost.macs / max(whole.macs, 1):.1f} %)"
    )

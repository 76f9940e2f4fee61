"""Attributes that say how wide a network or a block is (`num_classes`, `num_features`): whose width each of them says.

They are known by their name, which says where to look (the logits, what the last layer reads, what a block takes or
gives), and by their number, which has to be the one that stands there, or that of the same channels wherever it stands
inside. A number that several layers inside have, of different channels, stays as it was and is listed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import labels as lab
from model_lego.graph.channels import Follow, Layer, Unclear
from model_lego.graph.program import Program
from model_lego.graph.propagation import concrete

LOGITS, READ_LAST, TAKEN, GIVEN = "the logits", "what the last layer reads", "what it takes", "what it gives"
#: Where the width stands that an attribute of this name says; the first place with that number counts.
NAMES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("num_classes", "n_classes", "nb_classes", "num_labels", "classes"), (LOGITS,)),
    **dict.fromkeys(
        ("num_features", "head_hidden_size", "hidden_size", "embed_dim", "feature_dim", "feat_dim", "last_channel"),
        (READ_LAST, GIVEN),
    ),
    **dict.fromkeys(("last_channels", "pool_dim", "num_ftrs", "num_feature"), (READ_LAST, GIVEN)),
    **dict.fromkeys(("inplanes", "in_planes"), (READ_LAST, TAKEN)),
    **dict.fromkeys(("in_channels", "in_chs", "in_features", "in_dim", "in_filters", "inp", "inc"), (TAKEN, READ_LAST)),
    **dict.fromkeys(("out_channels", "out_chs", "out_features", "out_dim", "out_filters", "oup"), (GIVEN,)),
    **dict.fromkeys(("out_planes", "outplanes", "planes", "num_channels", "channels", "width", "dim"), (GIVEN,)),
    "hidden_dim": (READ_LAST,),
    **dict.fromkeys(("expand_chs", "mid_channels", "mid_chs", "root_dim", "stem_size", "num_chs"), ()),
}


class Widths:
    """What stands where in a network: channels that its modules take and give, by the labels of its values."""

    def __init__(self, program: Program, labels: Mapping[fx.Node, Any], channel: Tensor) -> None:
        self.image, self.labels, self.channel = program.image, labels, channel
        self.nodes = [node for node in program.nodes if node.op == "call_function" or node.name == program.image]
        stacks = {node: (node.meta.get("nn_module_stack") or {}).values() for node in self.nodes}
        self.paths = {node: {str(path) for path, _ in stack} for node, stack in stacks.items()}

    def taken(self, path: str) -> Iterator[Tensor]:
        """The channels of each value that a module reads and does not make."""
        for node in self.nodes:
            if path not in self.paths[node] and any(path in self.paths.get(user, ()) for user in node.users):
                yield from self._channels(node)

    def given(self, path: str) -> Iterator[Tensor]:
        """The channels of each value that a module makes and another one reads."""
        for node in self.nodes:
            if path in self.paths[node] and any(path not in self.paths.get(user, ()) for user in node.users):
                yield from self._channels(node)

    def _channels(self, node: fx.Node) -> Iterator[Tensor]:
        labels = self.labels.get(node)
        if isinstance(labels, Tensor) and len(axes := lab.carried(labels)) == 1:
            points = lab.vector(labels, concrete(node.meta["val"].shape), axes[0])
            if points is not None and bool((points != lab.NONE).all()):
                yield self.channel[points]


def named_widths(
    model: nn.Module, widths: Widths, layers: Sequence[Layer], head: Tensor, known: Collection[tuple[str, str]]
) -> tuple[tuple[Follow, ...], tuple[Unclear, ...]]:
    """The attributes that follow a width, beyond those `known`, and those of which it is unclear which one."""
    follows, unclear = [], []
    for path, module in model.named_modules():
        inside = [layer for layer in layers if not path or f"{layer.name}.".startswith(f"{path}.")]
        for attribute, value in vars(module).items():
            if (path, attribute) in known:
                continue
            named = attribute in NAMES and type(value) is int
            found = _standing(attribute, value, path, inside, widths, head) if named else None
            sides = [side for side in _sides(inside) if len(side) in _numbers(attribute, value)]
            if found is None and named and sides and all(torch.equal(side, sides[0]) for side in sides):
                found = sides[0]
            if found is not None:
                follows.append(Follow(path, attribute, "outputs", found, found))
            elif sides:
                unclear.append(Unclear(path, attribute, torch.cat(sides)))
    return tuple(follows), tuple(unclear)


def _standing(
    attribute: str, value: int, path: str, inside: Sequence[Layer], widths: Widths, head: Tensor
) -> Tensor | None:
    """The channels whose number an attribute says; None where none of the places that its name means has as many."""
    last = [layer for layer in inside if bool(torch.isin(layer.outputs, head).all())]
    places: dict[str, Iterable[Tensor]] = {
        LOGITS: [head] if last or not path else [],
        READ_LAST: [layer.inputs for layer in last],
        TAKEN: widths.taken(path),
        GIVEN: widths.given(path),
    }
    return next((found for place in NAMES[attribute] for found in places[place] if len(found) == value), None)


def _sides(layers: Sequence[Layer]) -> list[Tensor]:
    return [side for layer in layers for side in (layer.inputs, layer.outputs)]


def _numbers(attribute: str, value: object) -> set[int]:
    """Numbers of channels that an attribute holds, by its name; a list of records (feature_info) by theirs."""
    if attribute in NAMES:
        return {value} if type(value) is int else set()
    records = value if isinstance(value, list) else []
    held = [item for record in records if isinstance(record, dict) for item in record.items()]
    return {number for name, number in held if name in NAMES and type(number) is int}

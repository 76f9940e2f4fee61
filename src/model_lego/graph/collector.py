"""What the rows of the table report while a network is read, before it is tied together."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.channels import (
    Axis,
    Balance,
    Divided,
    Fold,
    Follow,
    Freeze,
    Heads,
    Layer,
    Product,
    Split,
    Statistic,
    Suspect,
)
from model_lego.graph.nodes import source_line
from model_lego.graph.program import Program
from model_lego.graph.rule import WEIGHT_AT, Call, OpRule, Route

IMAGES = "images"


@dataclass
class Builder:
    """Collects what the rows say (see `Tracker`); points are numbered as they come up and tied together at the end."""

    program: Program
    size: int = 0
    edges: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    frozen: list[tuple[Tensor, Freeze]] = field(default_factory=list)
    balances: list[Balance] = field(default_factory=list)
    grids: list[Balance] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    axes: dict[str, dict[int, Axis]] = field(default_factory=dict)
    leaves: dict[str, Tensor] = field(default_factory=dict)
    births: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    writers: list[tuple[str, Tensor]] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    follows: list[Follow] = field(default_factory=list)
    divided: list[Divided] = field(default_factory=list)
    statistics: list[Statistic] = field(default_factory=list)
    attention: list[Heads] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    scaled: list[tuple[str, Tensor]] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    alikes: dict[str, Tensor] = field(default_factory=dict)
    position: int = 0
    count: int = 0

    def _new(self, count: int) -> Tensor:
        points = torch.arange(self.size, self.size + count)
        self.size += count
        return points

    def image(self, shape: tuple[int, ...]) -> Tensor:
        """Give the labels of the images; their channels are always kept."""
        points = self._new(shape[1])
        self.births[(-1, 0)] = points
        self.writers.append((IMAGES, points))
        self.frozen.append((points, Freeze("go together with channels of the images", IMAGES)))
        return lab.along(points, len(shape), 1)

    def leaf(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Give the points of a parameter or buffer, one an element, the same for each name that it has."""
        name = self._canonical(name)
        if name not in self.leaves:
            self.leaves[name] = self._new(int(torch.Size(shape).numel())).reshape(shape)
        return self.leaves[name]

    def _canonical(self, name: str) -> str:
        return self.program.canonical(name)

    def couple(self, left: Tensor, right: Tensor, call: Call) -> None:
        """Tie the channels at equal positions."""
        both = (left != lab.NONE) & (right != lab.NONE)
        self.edges.append((left[both].reshape(-1), right[both].reshape(-1)))

    def freeze(self, labels: Tensor, reason: str, call: Call) -> None:
        """Keep channels whole, for a reason."""
        points = labels[labels != lab.NONE]
        if len(points):
            self.frozen.append((points, Freeze(f"{reason} ({_short(call)})", call.where)))

    def balance(self, blocks: Tensor, call: Call, *, filled: bool = False) -> None:
        """Note blocks of channels that keep equal numbers, of which none may be empty if all are to be `filled`."""
        self.balances.append(Balance(blocks, call.where, filled))

    def grid(self, rows: Tensor, call: Call) -> None:
        """Note channels that are viewed as rows."""
        self.grids.append(Balance(rows, call.where))

    def pieces(self, pieces: Sequence[Tensor], call: Call) -> None:
        """Note channels that are split into pieces of unequal numbers."""
        self.splits.append(Split(tuple(pieces), source_line(call.node), call.where, call.node.name, _short(call)))

    def suspect(self, labels: Tensor, call: Call) -> None:
        """Note channels whose number the forward may have written into it."""
        points = labels[labels != lab.NONE]
        if len(points):
            self.suspects.append(Suspect(points, source_line(call.node), call.where, call.node.name))

    def bind(self, name: str, dim: int, channels: Tensor, call: Call, *, groups: int = 1) -> None:
        """Tie a dimension of a parameter or buffer to channels; what is used in two ways is kept whole."""
        axes = self.axes.setdefault(self._canonical(name), {})
        if dim not in axes:
            axes[dim] = Axis(channels, groups)
        elif axes[dim].groups == groups and len(axes[dim].channels) == len(channels):
            self.couple(axes[dim].channels, channels, call)
        else:
            self.freeze(torch.cat([axes[dim].channels, channels]), "is used in two ways", call)

    def born(self, name: str, dim: int, size: int, call: Call) -> Tensor:
        """Give the channels that a dimension of a weight writes, new ones the first time."""
        axes = self.axes.setdefault(self._canonical(name), {})
        if dim not in axes:
            points = self._new(size)
            axes[dim] = Axis(points)
            self.writers.append((call.where or name, points))
        return axes[dim].channels

    def divides(self, call: Call, channels: Tensor, groups: int) -> None:
        """Note that a call's number of groups follows the cut."""
        self.divided.append(Divided(call.node.name, None, channels, groups))

    def statistic(self, call: Call, channels: Tensor, dim: int, reason: str) -> None:
        """Note that a call takes statistics over channels."""
        why = Freeze(f"{reason} ({_short(call)})", call.where)
        self.statistics.append(Statistic(call.node.name, dim, channels, why))

    def apart(self, weight: str, groups: int, inputs: Tensor) -> bool:
        """Each channel of a depthwise layer stays what it is."""
        return groups == len(inputs)

    def heads(self, rows: Tensor, call: Call) -> Tensor:
        """Give the heads of some rows, one a row; equal rows have one. A single head, which always stays, is none."""
        unique, place = rows.unique(dim=0, return_inverse=True)
        points = self._new(len(unique))
        self.writers.append((call.where, points))
        self.attention.append(Heads(unique, points, call.where))
        return points[place] if len(unique) > 1 else torch.full_like(place, lab.NONE)

    def multiplies(self, call: Call, operands: tuple[int, ...]) -> None:
        """Note what a product sums over channels."""
        self.products.append(Product(call.node.name, call.where, {place: call.args[place] for place in operands}))

    def scales(self, call: Call, queries: Tensor) -> None:
        """Note that a scale follows the width of queries."""
        self.scaled.append((call.node.name, queries))

    def alike(self, call: Call, channels: Tensor) -> None:
        """Note a call that treats channels alike."""
        self.alikes[call.node.name] = channels

    def fresh(self, count: int, reason: str, call: Call) -> Tensor:
        """Give new channels, which are kept whole."""
        points = self._new(count)
        self.births[(self.position, self.count)] = points
        self.count += 1
        self.writers.append((call.where, points))
        self.frozen.append((points, Freeze(f"{reason} ({_short(call)})", call.where, call.computes_weight)))
        return points

    def mixes(self, call: Call, inputs: Tensor, outputs: Tensor) -> None:
        """Note a channel-mixing layer; a module that is called again gets a number behind its name."""
        weight = call.parameter(WEIGHT_AT)
        assert weight is not None  # rows report computed weights as frozen instead
        weight = self._canonical(weight)
        name = weight.rpartition(".")[0] or weight
        calls = sum(layer.name.partition("#")[0] == name for layer in self.layers)
        self.layers.append(
            Layer(
                name=f"{name}#{calls + 1}" if calls else name,
                node=call.node.name,
                op=str(call.node.target),
                weight=weight,
                bias=call.bias,
                inputs=inputs,
                outputs=outputs,
                window=call.window,
            )
        )

    def ran(self, call: Call, rule: OpRule) -> None:
        """Note, after a call, which attributes of its modules follow the cut."""
        self.position += 1
        self.count = 0
        names = [name for name in map(call.parameter, rule.weights) if name is not None]
        divided = self.divided[-1] if self.divided and self.divided[-1].node == call.node.name else None
        channels = self._channels(call, rule, names) if divided is None else divided.channels
        if channels is None:
            return
        last = self.layers[-1] if self.layers and self.layers[-1].node == call.node.name else None
        ins, outs, groups = (last.inputs, last.outputs, last.groups) if last else (channels, channels, 1)
        aliases = self.program.aliases.get(names[0], (names[0],)) if names else ()
        owners = sorted({name.rpartition(".")[0] for name in aliases}) or [call.where]
        if divided is not None and rule.groups_at is not None:
            held = next((attribute for attribute, holds in rule.follows.items() if holds == "groups"), "")
            self.divided[-1] = replace(divided, place=rule.groups_at, owner=owners[0], attribute=held)
            groups = divided.groups
        for owner in owners:
            self.follows += [
                Follow(owner, attribute, holds, ins, outs, groups, divided is not None)
                for attribute, holds in rule.follows.items()
            ]

    def _channels(self, call: Call, rule: OpRule, names: list[str]) -> Tensor | None:
        """The channels that the tensors of a call stand for; of a norm without any, those that it reads."""
        if names:
            axis = self.axes.get(self._canonical(names[0]), {}).get(0)
            return None if axis is None else axis.channels
        if not rule.follows or rule.route is Route.MIXES or len(call.out) < 2:
            return None
        channels = lab.vector(call.args[0], call.shape(), 1)
        return None if channels is None or bool((channels == lab.NONE).any()) else channels


def _short(call: Call) -> str:
    return str(call.node.target).removeprefix("aten.").removesuffix(".default")

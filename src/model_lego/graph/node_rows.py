"""What a layer reads and writes of each sample, in a network that runs over all nodes of a graph at once.

There samples gather their rows at the end. And a layer may write first and sum along the edges then, A (X W); of one
sample it reads (A X) W all the same, since A treats every channel alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from model_lego.graph.program import Program
from model_lego.graph.rule import OpRule, Route

aten = torch.ops.aten

#: Where the operators that spread values have them; the other arguments say from where, to where, and how much.
_SPREAD_AT = {
    aten.index_select.default: 0, aten.index.Tensor: 0, aten.matmul.default: 1, aten.mm.default: 1,
    aten.scatter_add.default: 3, aten.scatter_add_.default: 3, aten.index_add.default: 3, aten.index_add_.default: 3,
}  # fmt: skip
_ZEROS = {aten.zeros.default, aten.new_zeros.default, aten.zeros_like.default}
#: Of a value these take its size only.
_SIZES = {*_ZEROS, aten.new_ones.default, aten.ones_like.default, aten.sym_size.int}


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """How what a layer writes is carried to the rows that samples gather: by `nodes`, in this order, to `end`."""

    layer: fx.Node
    nodes: tuple[fx.Node, ...]
    end: fx.Node


class Reader:
    """Takes, of what the layers of a network read or write at all positions, what belongs to some samples.

    In ordinary networks, where everything runs on the samples themselves, it gives what it is given.
    """

    def __init__(self, program: Program, rules: Mapping[object, OpRule], model: nn.Module) -> None:
        self.program, self.model = program, model
        self.gather = _gather(program, rules)
        self.carried = {} if self.gather is None else _readable(program, rules, self.gather)
        self.constants: dict[fx.Node, Any] = {}
        self.rows = torch.empty(0, dtype=torch.int64)

    def start(self, images: Tensor) -> None:
        """Say which samples come next."""
        if self.gather is not None and self.carried:
            index = _index(self.gather)
            self.rows = _values(self.program, self.model, [index], images)[index]
            if not self.constants:
                wanted = {argument for each in self.carried.values() for argument in _outside(each)}
                self.constants = _values(self.program, self.model, wanted, images)

    def read(self, name: str, value: Tensor) -> Tensor:
        """Give the samples' rows of what a layer (by its node) reads, or writes: samples x channels."""
        found = self.carried.get(name)
        if found is None:
            return value
        width = int(found.layer.meta["val"].shape[-1])  # sizes are written into the operators
        blocks = F.pad(value, (0, -value.shape[-1] % width)).split(width, -1)
        return torch.cat([self._carry(found, block)[self.rows] for block in blocks], -1)[:, : value.shape[-1]]

    def _carry(self, found: Carried, block: Tensor) -> Tensor:
        values = self.constants | {found.layer: block}
        for node in found.nodes:
            values[node] = _run(node, values)
        end: Tensor = values[found.end]
        return end


def carried_by(program: Program, rules: Mapping[object, OpRule], layer: fx.Node) -> Carried:
    """Follow what a layer writes through the operators that carry all its channels alike, as far as they go."""
    alike, sizes = {layer}, set[fx.Node]()
    for node in program.nodes:
        if node.op != "call_function" or not (alike | sizes) & set(node.all_input_nodes):
            continue
        if _size_only(node, alike | sizes):
            sizes.add(node)
        elif not node.meta.get("by_batch", True) and _alike(node, rules, alike, sizes):
            alike.add(node)
    ends = [node for node in alike if any(user not in alike and not _reads_size(user, node) for user in node.users)]
    end = ends[0] if len(ends) == 1 else layer
    nodes = [node for node in program.nodes if node in (alike | sizes) - {layer}]
    return Carried(layer, tuple(nodes) if end is not layer else (), end)


def _reads_size(user: fx.Node, node: fx.Node) -> bool:
    """Whether an operator takes the size of a value only."""
    return user.target in _SIZES or (user.target is aten.expand_as.default and user.args[0] is not node)


def _size_only(node: fx.Node, found: set[fx.Node]) -> bool:
    if node.target is aten.expand_as.default:  # the same number for all channels
        small = node.args[0]
        return isinstance(small, fx.Node) and small not in found and _narrow(small)
    return node.target in _SIZES


def _alike(node: fx.Node, rules: Mapping[object, OpRule], alike: set[fx.Node], sizes: set[fx.Node]) -> bool:
    """Whether an operator is linear in what comes from the layer, with the same numbers for each channel."""
    rule = rules.get(node.target)
    inputs = [argument for argument in node.all_input_nodes if argument in alike]
    if rule is not None and rule.route is Route.SPREADS and node.target in _SPREAD_AT:
        at = _SPREAD_AT[node.target]
        starts = node.args[0]
        from_zero = at != 3 or (isinstance(starts, fx.Node) and starts.target in _ZEROS)
        return from_zero and inputs == [node.args[at]]
    if node.target in (aten.add.Tensor, aten.sub.Tensor):
        return all(isinstance(argument, fx.Node) and argument in alike for argument in node.args[:2])
    if node.target in (aten.mul.Tensor, aten.div.Tensor):
        own = [place for place, argument in enumerate(node.args[:2]) if argument in alike]
        if len(own) != 1 or (own == [1] and node.target is aten.div.Tensor):
            return False
        other = node.args[1 - own[0]]
        return not isinstance(other, fx.Node) or other in sizes or _narrow(other)
    return node.target in (aten.mul.Scalar, aten.div.Scalar, aten.neg.default)


def _narrow(node: fx.Node) -> bool:
    shape = node.meta["val"].shape
    return len(shape) == 0 or bool(shape[-1] == 1)


def _gather(program: Program, rules: Mapping[object, OpRule]) -> fx.Node | None:
    """The operator that takes rows for the samples out of those of all nodes."""
    for node in program.nodes:
        rule = rules.get(node.target)
        if rule is None or rule.route is not Route.SPREADS or not node.meta.get("by_batch", True):
            continue
        source = node.args[0]
        if isinstance(source, fx.Node) and not source.meta.get("by_batch", True) and _index(node) is not None:
            return node
    return None


def _index(gather: fx.Node) -> Any:
    """The argument that numbers the rows; None where an operator takes something else than rows."""
    if gather.target is aten.index_select.default:
        return gather.args[2] if gather.args[1] == 0 else None
    if gather.target is aten.index.Tensor:
        lists = gather.args[1]
        assert isinstance(lists, list | tuple)
        return lists[0]
    return None


def _readable(program: Program, rules: Mapping[object, OpRule], gather: fx.Node) -> dict[str, Carried]:
    """The layers that run on all positions, where each of these is one of those that samples gather."""
    source = gather.args[0]
    assert isinstance(source, fx.Node)
    found: dict[str, Carried] = {}
    for node in program.nodes:
        rule = rules.get(node.target)
        if rule is None or rule.window is None or node.meta.get("by_batch", True):
            continue
        carried = carried_by(program, rules, node)
        shape = carried.end.meta["val"].shape
        if len(shape) == 2 and shape[0] == source.meta["val"].shape[0]:
            found[node.name] = carried
    return found


def _outside(carried: Carried) -> list[fx.Node]:
    inside = {carried.layer, *carried.nodes}
    return [argument for node in carried.nodes for argument in node.all_input_nodes if argument not in inside]


@torch.no_grad()
def _values(program: Program, model: nn.Module, wanted: Iterable[fx.Node], images: Tensor) -> dict[fx.Node, Any]:
    """Some values of the running network, of which no more is run than they need."""
    wanted = set(wanted)
    needed, left = set[fx.Node](), list(wanted)
    while left:
        node = left.pop()
        if node not in needed:
            needed.add(node)
            left.extend(node.all_input_nodes)
    values: dict[fx.Node, Any] = {}
    for node in program.nodes:
        if node not in needed:
            continue
        if node.op == "placeholder":
            of_image = node.name == program.image
            values[node] = images if of_image else program.tensor(model, program.tensors[node.name])
        else:
            values[node] = _run(node, values)
    return {node: values[node] for node in wanted}


def _run(node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    arguments = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    return node.target(*arguments[0], **arguments[1])  # type: ignore[operator]

"""Alignment padding: several networks of one class as one dense, block-diagonal network.

A network of the joint widths is built, still empty; its own graph is walked with labels that say which part each
channel comes from; then each part's numbers go where its channels are. So concat, flatten and residual streams place
themselves, whatever order their channels get in the joint network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model_lego.assembly.alike import check_alike, of_images, with_equal_biases
from model_lego.cutting.siblings import program_like, read_graphs
from model_lego.errors import IncompatibleComponents, LegoError
from model_lego.graph import RULES, ChannelGraph
from model_lego.graph import labels as lab
from model_lego.graph.channels import Divided, Follow, Layer
from model_lego.graph.modules import find_tensor, hookless_copy
from model_lego.graph.ops.movement import SPLIT
from model_lego.graph.program import Program, export_program
from model_lego.graph.propagation import carry_labels
from model_lego.graph.rule import Call, OpRule, Route

SHARED = 0  # the images: every part reads them; parts are numbered from 1


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """The joint network, its program, and the attributes that differ from the first part's."""

    module: nn.Module
    program: Program
    attributes: Mapping[str, Mapping[str, int]]


def place(modules: Sequence[nn.Module], example: Tensor, *, rules: Mapping[object, OpRule] = RULES) -> Placed:
    """Put networks of one class into one, zeros where they would read each other.

    Its logits are theirs side by side. Raises IncompatibleComponents with the reason where that cannot be exact.
    """
    modules = with_equal_biases(modules)
    graphs = read_graphs(modules, [example] * len(modules), rules=rules)
    check_alike(modules, graphs)
    joint = hookless_copy(modules[0])
    attributes = _widen(joint, graphs)
    try:
        program = _joint_program(joint, graphs, example)
        placer = _Placer(graphs)
        carry_labels(program, rules, placer)
    except IncompatibleComponents:
        raise
    except LegoError as error:
        raise IncompatibleComponents(
            f"these parts do not run as one dense network ({error}); use layout='parallel'"
        ) from error
    with torch.no_grad():
        for name in graphs[0].axes:
            _fill(joint, name, modules, graphs, placer.axes[name])
    return Placed(joint, program, attributes)


def _widen(joint: nn.Module, graphs: Sequence[ChannelGraph]) -> dict[str, dict[str, int]]:
    """Give every tensor and attribute of the joint network its joint size; tensors are zero."""
    for name, axes in graphs[0].axes.items():
        tensor = find_tensor(joint, name)
        assert tensor is not None  # the name comes from this network's graph
        shape = list(tensor.shape)
        for dim, axis in axes.items():
            if axis.groups == 1:
                shape[dim] = _joint_width(graphs, [graph.axes[name][dim].channels for graph in graphs])
        _put(joint, graphs[0].program.aliases.get(name, (name,)), tensor, tensor.new_zeros(shape))
    attributes: dict[str, dict[str, int]] = {}
    for together in (*zip(*[graph.follows for graph in graphs], strict=True), *_common_names(graphs)):
        follow, owner = together[0], joint.get_submodule(together[0].owner)
        new = {
            "inputs": _joint_width(graphs, [f.inputs for f in together]),
            "outputs": _joint_width(graphs, [f.outputs for f in together]),
            "groups": _joint_groups(graphs, follow.inputs, together) if follow.groups > 1 or follow.divided else 1,
        }[follow.holds]
        value = getattr(owner, follow.attribute, None)
        if type(value) is int and value != new:
            setattr(owner, follow.attribute, new)
            attributes.setdefault(follow.owner, {})[follow.attribute] = new
    return attributes


def _common_names(graphs: Sequence[ChannelGraph]) -> list[tuple[Follow, ...]]:
    """Attributes that tell how wide something is, of which it is clear in all parts."""
    named = [{(follow.owner, follow.attribute): follow for follow in graph.named} for graph in graphs]
    return [tuple(one[key] for one in named) for key in named[0] if all(key in one for one in named)]


def _joint_program(joint: nn.Module, graphs: Sequence[ChannelGraph], example: Tensor) -> Program:
    """The joint network runs the operators of each part, with the groups of all of them."""
    if len({tuple(each.node for each in graph.divided) for graph in graphs}) > 1:
        return export_program(joint, example)
    rules, targets = graphs[0].rules, {node.name: node.target for node in graphs[0].program.nodes}
    groups = {}
    for divided in zip(*[graph.divided for graph in graphs], strict=True):
        if divided[0].place is not None:
            groups[divided[0].node] = (divided[0].place, _joint_groups(graphs, divided[0].channels, divided))
    for layers in zip(*[graph.layers for graph in graphs], strict=True):
        place = rules[targets[layers[0].node]].groups_at
        if place is not None and layers[0].groups > 1:
            groups[layers[0].node] = (place, _joint_groups(graphs, layers[0].inputs, layers))
    return program_like(graphs[0], joint, example, groups)


def _joint_width(graphs: Sequence[ChannelGraph], each: Sequence[Tensor]) -> int:
    """How many channels those of the parts are together; the images are there once for all."""
    shared = [of_images(graph, channels) for graph, channels in zip(graphs, each, strict=True)]
    return int(shared[0].sum()) + sum(int((~mine).sum()) for mine in shared)


def _joint_groups(graphs: Sequence[ChannelGraph], first: Tensor, each: Sequence[Divided | Follow | Layer]) -> int:
    """How many groups those of the parts are together; the `first` part has them of these channels."""
    return each[0].groups if bool(of_images(graphs[0], first).all()) else sum(one.groups for one in each)


def _put(model: nn.Module, names: Sequence[str], old: Tensor, new: Tensor) -> None:
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    for name in names:
        path, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(path), attribute, new)


def _fill(
    joint: nn.Module,
    name: str,
    modules: Sequence[nn.Module],
    graphs: Sequence[ChannelGraph],
    origins: Mapping[int, Tensor],
) -> None:
    """Copy each part's numbers to the places of its channels."""
    target = find_tensor(joint, name)
    assert target is not None  # widened before
    filled = []
    for number, (module, graph) in enumerate(zip(modules, graphs, strict=True), start=1):
        source = find_tensor(module, name)
        assert source is not None  # the same operators read it
        index = [torch.arange(size) for size in target.shape]
        for dim, axis in graph.axes[name].items():
            if axis.groups == 1:
                index[dim] = ((origins[dim] == number) | (origins[dim] == SHARED)).nonzero().reshape(-1)
        shape = tuple(len(places) for places in index)
        if shape != tuple(source.shape):
            raise IncompatibleComponents(
                f"tensor '{name}' of part {number} has shape {tuple(source.shape)}, but its channels have places for "
                f"{shape} in the joint network: the forward deals them out by number; use layout='parallel'"
            )
        if source.dim() == 0:
            target.copy_(source)
        else:
            filled.append((torch.meshgrid(*[places.to(target.device) for places in index], indexing="ij"), source))
            target[filled[-1][0]] = source
    if any(not torch.equal(target[places], source) for places, source in filled):
        raise IncompatibleComponents(
            f"tensor '{name}' belongs to channels of the images, which all parts share, and differs between the parts; "
            "use layout='parallel'"
        )


@dataclass
class _Placer:
    """A tracker whose labels are part numbers: whose channel stands at each position of the joint network."""

    graphs: Sequence[ChannelGraph]
    axes: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    def _name(self, name: str) -> str:
        return self.graphs[0].program.canonical(name)

    def image(self, shape: tuple[int, ...]) -> Tensor:
        return lab.along(torch.full((shape[1],), SHARED), len(shape), 1)

    def leaf(self, name: str, shape: tuple[int, ...]) -> Tensor:
        axes = self.graphs[0].axes.get(self._name(name), {})
        labels = lab.neutral(len(shape))
        for dim in axes:
            channels = self._parts(self._name(name), dim)
            self.axes.setdefault(self._name(name), {})[dim] = channels
            labels = lab.along(channels, len(shape), dim)
        return labels

    def _parts(self, name: str, dim: int) -> Tensor:
        """One part after the other; those of the images once."""
        origins = []
        for number, graph in enumerate(self.graphs, start=1):
            shared = of_images(graph, graph.axes[name][dim].channels)
            mine = torch.where(shared, SHARED, number)
            origins.append(mine if number == 1 else mine[~shared])
        return torch.cat(origins)

    def couple(self, left: Tensor, right: Tensor, call: Call) -> None:
        both = (left != lab.NONE) & (right != lab.NONE)
        if not torch.equal(left[both], right[both]):
            raise IncompatibleComponents(
                f"layer '{call.where}' would join channels of different parts ({call.node.target}); "
                "use layout='parallel'"
            )

    def freeze(self, labels: Tensor, reason: str, call: Call) -> None:
        if bool((labels > SHARED).any()):
            raise IncompatibleComponents(f"layer '{call.where}' {reason}: parts would mix; use layout='parallel'")

    def balance(self, blocks: Tensor, call: Call, *, filled: bool = False) -> None:
        grouped = call.rule is not None and call.rule.route is Route.MIXES
        if grouped and bool((blocks != blocks[:, :1]).any()):
            raise IncompatibleComponents(
                f"the groups of layer '{call.where}' have different widths in the parts; use layout='parallel'"
            )

    def grid(self, rows: Tensor, call: Call) -> None:
        return

    def pieces(self, pieces: Sequence[Tensor], call: Call) -> None:
        self.freeze(torch.cat(tuple(pieces)), SPLIT, call)

    def suspect(self, labels: Tensor, call: Call) -> None:
        return

    def bind(self, name: str, dim: int, channels: Tensor, call: Call, *, groups: int = 1) -> None:
        axes = self.axes.setdefault(self._name(name), {})
        if dim in axes and not torch.equal(axes[dim], channels):
            raise IncompatibleComponents(f"layer '{call.where}' reads its tensors in two ways; use layout='parallel'")
        axes[dim] = channels

    def born(self, name: str, dim: int, size: int, call: Call) -> Tensor:
        return self.axes.setdefault(self._name(name), {}).setdefault(dim, self._parts(self._name(name), dim))

    def divides(self, call: Call, channels: Tensor, groups: int) -> None:
        return

    def statistic(self, call: Call, channels: Tensor, dim: int, reason: str) -> None:
        return

    def heads(self, rows: Tensor, call: Call) -> Tensor:
        return rows[:, 0]

    def multiplies(self, call: Call, operands: tuple[int, ...]) -> None:
        return

    def scales(self, call: Call, queries: Tensor) -> None:
        return

    def apart(self, weight: str, groups: int, inputs: Tensor) -> bool:
        return groups == len(inputs)

    def alike(self, call: Call, channels: Tensor) -> None:
        return

    def fresh(self, count: int, reason: str, call: Call) -> Tensor:
        raise IncompatibleComponents(f"layer '{call.where}': {reason}; use layout='parallel'")

    def mixes(self, call: Call, inputs: Tensor, outputs: Tensor) -> None:
        return

    def ran(self, call: Call, rule: OpRule) -> None:
        return

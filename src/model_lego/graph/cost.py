"""What a network costs: parameters, multiply-adds for one image, bytes. Of a cut also before it is made."""

from collections.abc import Container, Mapping
from math import prod

from torch import Tensor, fx, nn

from model_lego.graph.channels import Axis, ChannelGraph, Layer
from model_lego.graph.op_table import RULES
from model_lego.graph.program import Program
from model_lego.graph.propagation import concrete, concrete_number
from model_lego.graph.rule import WEIGHT_AT, OpRule
from model_lego.graph.selection import ChannelSelection
from model_lego.parts.origin import Cost


def cost_of(model: nn.Module, program: Program, *, rules: Mapping[object, OpRule] = RULES) -> Cost:
    """Count a network; one multiply-add counts once, only channel-mixing operators are counted."""
    macs = (_macs(node, rules[node.target], program.batch) for node in program.nodes if _mixes(node, rules))
    return sized(model, macs=sum(macs))


def sized(model: nn.Module, *, macs: int) -> Cost:
    """The cost of a network whose multiply-adds are known; a tensor with several names counts once."""
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=macs,
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers())),
    )


def planned_cost(model: nn.Module, graph: ChannelGraph, selection: ChannelSelection) -> Cost:
    """Count what a cut of a network would cost, without cutting it: `cost_of` of the cut network."""
    parameters = size = 0
    for name, tensor in counted_tensors(model, graph):
        shape = list(tensor.shape)
        for dim, axis in graph.axes.get(name, {}).items():
            shape[dim] = _kept(axis, selection)
        parameters += prod(shape) * isinstance(tensor, nn.Parameter)
        size += prod(shape) * tensor.element_size()
    layers = {layer.node: layer for layer in graph.layers}
    macs = 0
    for node in graph.program.nodes:
        if _mixes(node, graph.rules):
            alike = graph.alike.get(node.name)
            layer = layers.get(node.name)
            kept, whole = _pairs(layer, selection) if alike is None else (selection.kept(alike), len(alike))
            macs += _macs(node, graph.rules[node.target], graph.program.batch) * kept // whole
    return Cost(parameters=parameters, macs=macs, bytes=size)


def counted_tensors(model: nn.Module, graph: ChannelGraph) -> list[tuple[str, Tensor]]:
    """Parameters and buffers that are still there after a cut, by name."""
    gone = tuple(f"{path}." for path in graph.spare)
    tensors = (*model.named_parameters(), *model.named_buffers())
    return [(name, tensor) for name, tensor in tensors if not name.startswith(gone)]


def layer_macs(graph: ChannelGraph) -> list[tuple[Layer, int]]:
    """Each layer with its multiply-adds for one image, uncut."""
    macs = _macs_of_nodes(graph, {layer.node for layer in graph.layers})
    return [(layer, macs[layer.node]) for layer in graph.layers]


def position_macs(graph: ChannelGraph) -> list[tuple[Tensor, int]]:
    """Channels whose positions an operator mixes alike, with its multiply-adds for one image, uncut."""
    macs = _macs_of_nodes(graph, graph.alike)
    return [(channels, macs[node]) for node, channels in graph.alike.items()]


def _macs_of_nodes(graph: ChannelGraph, wanted: Container[str]) -> dict[str, int]:
    nodes = [node for node in graph.program.nodes if node.name in wanted]
    return {node.name: _macs(node, graph.rules[node.target], graph.program.batch) for node in nodes}


def _pairs(layer: Layer | None, selection: ChannelSelection) -> tuple[int, int]:
    """How many pairs of input and output channels a layer keeps, and has; one without channels of its own stays."""
    if layer is None:
        return 1, 1
    kept, whole = selection.kept(layer.outputs), len(layer.outputs)
    if layer.depthwise:  # as many groups as channels, before and after
        return kept, whole
    return kept * selection.kept(layer.inputs), whole * len(layer.inputs)


def _kept(axis: Axis, selection: ChannelSelection) -> int:
    """Kept positions of an axis; the blocks of a grouped one keep equal numbers."""
    return selection.kept(axis.channels) // axis.groups


def _mixes(node: fx.Node, rules: Mapping[object, OpRule]) -> bool:
    rule = rules.get(node.target)
    return rule is not None and rule.window is not None


def _macs(node: fx.Node, rule: OpRule, batch: int) -> int:
    """Multiply-adds of a mixing operator for one image, read off a graph for `batch` of them."""
    values = [arg.meta["val"] if isinstance(arg, fx.Node) else arg for arg in node.args]
    shapes = [concrete(value.shape) if isinstance(value, Tensor) else None for value in values]
    assert rule.window is not None  # a mixing operator has one
    read, weight = shapes[0], shapes[WEIGHT_AT]
    assert read is not None
    assert weight is not None
    window = rule.window([concrete_number(value) for value in values], shapes)
    places = read if window.transposed else concrete(node.meta["val"].shape)
    images = batch if node.meta["by_batch"] else 1  # what runs over a whole graph costs that for one node, too
    return prod(places) * prod(weight[1:]) // images  # weight[1:]: channels on the other side, and taps

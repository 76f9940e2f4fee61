"""Parameter scaling: bring the parts of an assembly to a common level (equation 9), or their logits (as published)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.cutting.siblings import read_graphs
from model_lego.errors import IncompatibleComponents
from model_lego.graph import RULES, ChannelGraph, Layer
from model_lego.graph.modules import hookless_copy
from model_lego.graph.rule import OpRule

aten = torch.ops.aten

#: Operators that give c times as much for c times as much, c > 0: behind them a factor is still that of the map.
HOMOGENEOUS = (aten.relu.default, aten.relu_.default, aten.leaky_relu.default, aten.leaky_relu_.default)
#: Largest factor, and one over the smallest: a dead filter must not be blown up.
LIMIT = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class ScaleFactors:
    """What a network's parts are multiplied with, and the places where a guard stepped in."""

    factors: Tensor
    guarded: tuple[int, ...]


def logit_factors(logits: Tensor, labels: Tensor, owners: Tensor, parts: Sequence[int]) -> ScaleFactors:
    """One factor a logit: 1 / (mean winning logit of its class's correct samples).

    `logits` are the joined ones (N x columns), `labels` the samples' classes, `owners` the class of each column,
    `parts` the number of columns of each part. A sample is correct when its own part, alone, gives its class. A class
    without a correct sample, or with a mean that is not positive, takes the median factor of its part, and 1 where
    there is none.
    """
    factors = torch.full((logits.shape[1],), torch.nan, dtype=torch.float64)
    start = 0
    guarded: list[int] = []
    for width in parts:
        own = logits[:, start : start + width].double()
        winner = own.argmax(1) + start
        for column in range(start, start + width):
            right = (labels == owners[column]) & (winner == column)
            mean = own[right, column - start].mean() if bool(right.any()) else torch.tensor(torch.nan)
            factors[column] = 1 / mean if mean > 0 else torch.nan
        part = factors[start : start + width]
        guarded += (start + part.isnan().nonzero().reshape(-1)).tolist()
        part[part.isnan()] = part.nanmedian() if not bool(part.isnan().all()) else 1.0
        start += width
    return ScaleFactors(factors, tuple(guarded))


def scale_layers(
    modules: Sequence[nn.Module], images: Sequence[Tensor], *, rules: Mapping[object, OpRule] = RULES
) -> list[nn.Module]:
    """Equation (9): C[j] <- (ebar / e[j]) C[j] in every layer but the last, on copies of networks of one architecture.

    e[j] is the sum over pixels of the map that filter j gives (behind its BatchNorm and its ReLU), averaged over the
    images; ebar its mean over the filters of all parts. All e are measured on the unscaled parts. A filter with
    e[j] <= 0 keeps its scale, factors stay within 1/10 to 10, and all writers of one stream get one factor. Raises
    IncompatibleComponents for parts of several architectures.
    """
    graphs = read_graphs(modules, images, rules=rules)
    operators = {
        tuple(str(node.target) for node in graph.program.nodes if node.op != "placeholder") for graph in graphs
    }
    if len(operators) > 1:
        raise IncompatibleComponents("layer scaling compares the layers of one architecture; use scaling='logit'")
    levels = [_levels(*each) for each in zip(modules, graphs, images, strict=True)]
    together = [_by_group(*each) for each in zip(graphs, levels, strict=True)]
    means = [torch.cat([level[level > 0] for level in levels]).mean() for levels in zip(*together, strict=True)]
    return [_scaled(*each, means) for each in zip(modules, graphs, levels, strict=True)]


def _levels(module: nn.Module, graph: ChannelGraph, images: Tensor) -> Tensor:
    """E of each channel: the mean over its writers and the images of the sum over pixels; NaN where nothing writes."""
    writers = {node.name: layer for layer, node in _maps(graph)}
    total = torch.zeros(graph.width, dtype=torch.float64)
    count = torch.zeros(graph.width, dtype=torch.float64)

    def listen(node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        for argument in node.all_input_nodes:
            layer = writers.pop(argument.name, None)
            value = None if layer is None else _given(argument, node.args, args)
            if layer is not None and isinstance(value, Tensor):
                maps = value.transpose(1, layer.window.channel_dim).double()
                sums = maps.cpu().flatten(2).sum(2).mean(0) if maps.dim() > 2 else maps.mean(0)
                total.index_add_(0, layer.outputs, sums)
                count.index_add_(0, layer.outputs, torch.ones(len(layer.outputs), dtype=torch.float64))
        return args

    with torch.no_grad():
        graph.program.run(module, images, listen)
    return total / count


def _given(wanted: fx.Node, nodes: Any, values: Any) -> Any:
    """The value of one node among the arguments of an operator, which may be lists."""
    if nodes is wanted:
        return values
    if isinstance(nodes, list | tuple):
        inside = (_given(wanted, node, value) for node, value in zip(nodes, values, strict=True))
        return next((value for value in inside if value is not None), None)
    return None


def _maps(graph: ChannelGraph) -> list[tuple[Layer, fx.Node]]:
    """The layers that are scaled, and where their map is as others read it: behind BatchNorm and ReLU."""
    nodes = {node.name: node for node in graph.program.nodes}
    return [(layer, _activated(_map_node(nodes[layer.node]))) for layer in _scaled_layers(graph)]


def _scaled_layers(graph: ChannelGraph) -> list[Layer]:
    """All layers but those that make logits, and those whose channels have their scale from elsewhere."""
    return [layer for layer in graph.layers if not layer.depthwise and not bool(graph.is_head[layer.outputs].any())]


def _map_node(node: fx.Node) -> fx.Node:
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target == aten.batch_norm.default else node


def _activated(node: fx.Node) -> fx.Node:
    """The activation behind a map, where it alone reads the map: before it, what is above and below zero cancels."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target in HOMOGENEOUS else node


def _by_group(graph: ChannelGraph, levels: Tensor) -> list[Tensor]:
    return [levels[group.channels] for group in graph.groups if not bool(graph.is_head[group.channels].any())]


def _scaled(module: nn.Module, graph: ChannelGraph, levels: Tensor, means: Sequence[Tensor]) -> nn.Module:
    twin = hookless_copy(module)
    factor = torch.ones(graph.width, dtype=torch.float64)
    groups = [group for group in graph.groups if not bool(graph.is_head[group.channels].any())]
    for group, mean in zip(groups, means, strict=True):
        level = levels[group.channels]
        wanted = (mean / level).clamp(1 / LIMIT, LIMIT)
        factor[group.channels] = torch.where(level > 0, wanted, torch.ones_like(wanted))
    nodes = {node.name: node for node in graph.program.nodes}
    done: set[str] = set()
    for layer in _scaled_layers(graph):
        for name, dim in _scalable(nodes[layer.node], layer, graph):
            if name not in done:
                done.add(name)
                tensor = graph.program.tensor(twin, name)
                shape = [-1 if place == dim else 1 for place in range(tensor.dim())]
                with torch.no_grad():
                    tensor.mul_(factor[layer.outputs].reshape(shape).to(tensor))
    return twin


def _scalable(node: fx.Node, layer: Layer, graph: ChannelGraph) -> list[tuple[str, int]]:
    """The tensors whose scale is the scale of a layer's map, with their output dimension."""
    following = _map_node(node)
    if following is not node:
        names = [graph.program.tensors.get(a.name) for a in following.args[1:3] if isinstance(a, fx.Node)]
        affine = [(name, 0) for name in names if name is not None]
        if len(affine) == 2:
            return affine
        return []  # a BatchNorm without weight and bias takes every scale out again
    weight = (layer.weight, layer.window.output_axis)
    return [weight] if layer.bias is None else [weight, (layer.bias, 0)]


def described(factors: Tensor) -> Mapping[str, float]:
    """Smallest and largest factor, for the record."""
    return {"least": float(factors.min()), "most": float(factors.max())}

"""What networks must have in common to become one dense network."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.errors import IncompatibleComponents
from model_lego.graph import ChannelGraph
from model_lego.graph.modules import hookless_copy
from model_lego.graph.rule import OpRule, Route
from model_lego.repairing.intercepts import give_bias, has_empty_bias


def with_equal_biases(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Copies of networks in which a layer that has a bias in one (a repair may give it) has one in all."""
    twins = [hookless_copy(module) for module in modules]
    named = [dict(twin.named_modules()) for twin in twins]
    for path, _ in modules[0].named_modules():
        layers = [found[path] for found in named if path in found]
        empty = [layer for layer in layers if has_empty_bias(layer)]
        if len(empty) < len(layers):
            for layer in empty:
                give_bias(layer)
    return twins


def check_alike(modules: Sequence[nn.Module], graphs: Sequence[ChannelGraph]) -> None:
    """Raise IncompatibleComponents where networks cannot be one dense network, with the reason."""
    _same_operators(modules, graphs)
    if len(graphs) > 1 and graphs[0].normalises:
        raise IncompatibleComponents(
            "the parts end in a softmax, which gives other numbers over the logits of all; use layout='parallel'"
        )
    _same_groups(graphs)


def _same_operators(modules: Sequence[nn.Module], graphs: Sequence[ChannelGraph]) -> None:
    """The parts have to run the same operators with the same scalars, and share tensors that carry no channels."""
    kinds = {type(module).__name__ for module in modules}
    calls = [[node for node in graph.program.nodes if node.op == "call_function"] for graph in graphs]
    if len(kinds) > 1 or len({tuple(str(node.target) for node in nodes) for nodes in calls}) > 1:
        raise IncompatibleComponents(
            f"padded needs parts of one architecture, but these are {', '.join(sorted(kinds))} with different "
            "operators; use layout='parallel'"
        )
    for first, *others in zip(*calls, strict=True):
        for other in others:
            ours, theirs = _scalars(first, graphs[0].rules), _scalars(other, graphs[0].rules)
            if ours != theirs:
                raise IncompatibleComponents(
                    f"the parts differ in the settings of {first.target} ('{first.name}'): {ours} and {theirs}; "
                    "use layout='parallel'"
                )
    for name in _plain_tensors(graphs[0]):
        tensors = [graph.program.tensor(module, name) for module, graph in zip(modules, graphs, strict=True)]
        if any(not torch.equal(tensor, tensors[0]) for tensor in tensors):
            raise IncompatibleComponents(
                f"tensor '{name}' belongs to no channel and differs between the parts; use layout='parallel'"
            )


def _scalars(node: fx.Node, rules: Mapping[object, OpRule]) -> list[Any]:
    """Literal arguments that change values: eps, slopes, strides; not sizes and numbers of groups."""
    rule = rules.get(node.target)
    if rule is None or rule.route is Route.MOVES:
        return []
    return [arg for place, arg in enumerate(_filled(node)) if place != rule.groups_at and not _holds_values(arg)]


def _filled(node: fx.Node) -> list[Any]:
    """Arguments by their places, with the defaults that an export leaves out where nothing else stands behind them."""
    known = getattr(node.target, "_schema", None)
    left = () if known is None else known.arguments[len(node.args) :]
    return [*node.args, *(node.kwargs.get(each.name, each.default_value) for each in left)]


def _holds_values(argument: Any) -> bool:
    nodes: list[fx.Node] = []
    fx.node.map_arg(argument, nodes.append)
    return bool(nodes)


def _same_groups(graphs: Sequence[ChannelGraph]) -> None:
    """One grouped convolution has one width of group; what reads across channels would mix the parts.

    The images are there once for all parts, so that no groups of theirs can be.
    """
    over = [each.why for each in graphs[0].statistics if not bool(of_images(graphs[0], each.channels).all())]
    for freeze in (*over, *graphs[0].freezes):
        raise IncompatibleComponents(
            f"layer '{freeze.where}' cannot be padded exactly: {freeze.reason}; use layout='parallel'"
        )
    for product in graphs[0].products:
        raise IncompatibleComponents(
            f"layer '{product.where}' sums products of two values (queries and keys) over channels, with a scale of "
            "its own in each part: the sum would be over those of all parts; use layout='parallel'"
        )
    for together in zip(*[graph.layers for graph in graphs], strict=True):
        if together[0].groups > 1 and bool(of_images(graphs[0], together[0].inputs).any()):
            raise IncompatibleComponents(
                f"layer '{together[0].name}' reads the images in groups, and all parts share these; "
                "use layout='parallel'"
            )
        widths = {(len(layer.inputs) // layer.groups, len(layer.outputs) // layer.groups) for layer in together}
        grouped = [layer.groups > 1 for layer in together]
        if any(grouped) and not all(grouped):
            raise IncompatibleComponents(
                f"layer '{together[0].name}' has groups in some parts and a single one left in others; "
                "use layout='parallel'"
            )
        if any(grouped) and len(widths) > 1:
            raise IncompatibleComponents(
                f"the groups of layer '{together[0].name}' have different widths in the parts: {sorted(widths)}; "
                "use layout='parallel'"
            )


def of_images(graph: ChannelGraph, channels: Tensor) -> Tensor:
    """Which channels are those of the images, one bool each."""
    return torch.isin(channels, graph.births[(-1, 0)])


def _plain_tensors(graph: ChannelGraph) -> list[str]:
    """Tensors that are used and stand for no channels: a slope for all channels, a temperature."""
    program = graph.program
    used = [node.name for node in program.nodes if node.op == "placeholder" and node.users]
    names = [program.canonical(program.tensors[name]) for name in used if name in program.tensors]
    return [name for name in names if name not in graph.axes]

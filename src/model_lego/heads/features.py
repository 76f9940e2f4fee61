"""Which layers make a network's logits: what these read are the features that a head can be fitted on."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.cutting.siblings import Known, read_like
from model_lego.errors import IncompatibleComponents, LegoError
from model_lego.graph import RULES, ChannelGraph, Layer
from model_lego.graph.rule import OpRule, Window
from model_lego.parts.assembly import Part
from model_lego.parts.component import Component
from model_lego.parts.layer_inputs import run_and_hear


def logit_layers(module: nn.Module, images: Tensor, *, rules: Mapping[object, OpRule] = RULES) -> tuple[str, ...]:
    """Paths of the layers whose outputs are the logits of a network; several where their outputs are added up.

    `images` are as the network itself takes them. Raises IncompatibleComponents where the logits are not made by
    layers that read one vector of features an image (a map is averaged over its pixels in front of a 1x1 convolution).
    """
    return _makers(module, _graph(module, images[:2], rules), images[:2])


def parts_layers(
    parts: Sequence[Part], images: Tensor, *, rules: Mapping[object, OpRule] = RULES
) -> tuple[tuple[str, ...], ...]:
    """The same of the networks of components, part by part; `images` are as the components take them.

    Raises IncompatibleComponents of an assembly among them as well, whose logits are its head's.
    """
    known: Known | None = None
    layers = []
    for number, part in enumerate(parts, 1):
        if not isinstance(part, Component):
            raise IncompatibleComponents(f"part {number} is an assembly, whose logits are taken as they are; {_ADVICE}")
        seen = images[:2] if part.preprocessing is None else part.preprocessing(images[:2])
        graph = _graph(part.module, seen, rules, known)
        known = known or (part.module, graph)
        layers.append(_makers(part.module, graph, seen))
    return tuple(layers)


def _graph(
    module: nn.Module, images: Tensor, rules: Mapping[object, OpRule], known: Known | None = None
) -> ChannelGraph:
    try:
        return read_like(module, images, known, rules=rules)
    except LegoError as error:
        raise IncompatibleComponents(
            f"{type(module).__name__}: the layers that make its logits cannot be found ({error}); {_ADVICE}"
        ) from error


def _makers(module: nn.Module, graph: ChannelGraph, images: Tensor) -> tuple[str, ...]:
    """The layers of a graph that make its logits."""
    last = [layer for layer in graph.layers if bool(graph.is_head[layer.outputs].any())]
    assert last  # logits that no layer makes are refused where the graph is read
    nodes = {node.name: node for node in graph.program.nodes}
    for layer in last:
        calls = [other for other in graph.layers if other.weight == layer.weight]
        once = len(calls) == 1 and layer.groups == 1 and not layer.window.transposed
        if not once or not _sees_whole(nodes[layer.node], layer.window):
            raise IncompatibleComponents(
                f"layer '{layer.name}' of {type(module).__name__} makes logits, but does not read one vector of "
                f"features; {_ADVICE}"
            )
    _check_heard(module, images, last, graph.program.run)
    return tuple(layer.name for layer in last)


def logit_map(parts: Sequence[Component], reads: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
    """What the layers that are read make of the joined features: logits x features, and a shift (float64, on the CPU).

    `reads` are paths of layers, part by part. These are the joined logits where a network does nothing more to them.
    """
    weights, shifts = [], []
    for part, paths in zip(parts, reads, strict=True):
        layers: list[Any] = [part.module.get_submodule(path) for path in paths]
        weights.append(torch.cat([layer.weight.detach().double().cpu().flatten(1) for layer in layers], 1))
        shift = weights[-1].new_zeros(len(weights[-1]))
        for layer in layers:
            bias = getattr(layer, "bias", None)  # a layer of one's own may know of none
            shift = shift if bias is None else shift + bias.detach().double().cpu()
        shifts.append(shift)
    return torch.block_diag(*weights), torch.cat(shifts)


_ADVICE = "use head='affine', which needs logits alone"


def _sees_whole(node: fx.Node, window: Window) -> bool:
    """Whether a layer reads pixels one by one, or all of an image at once; of images, not of all nodes of a graph."""
    if not node.meta["by_batch"]:
        return False
    return all(size == 1 for size in window.kernel) or all(size == 1 for size in node.meta["val"].shape[2:])


@torch.no_grad()
def _check_heard(module: nn.Module, images: Tensor, layers: list[Layer], run: Any) -> None:
    """The forward has to call these layers as modules: what they are given is what their operators read."""
    inputs: dict[str, Tensor] = {}
    names = {layer.node: layer.name for layer in layers}

    def listen(node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if node.name in names:
            inputs[names[node.name]] = args[0]
        return args

    run(module, images, listen)
    _, heard = run_and_hear(module, tuple(names.values()), images)
    for layer in layers:
        given = heard.get(layer.name)
        if given is None or given.shape != inputs[layer.name].shape or not torch.equal(given, inputs[layer.name]):
            raise IncompatibleComponents(
                f"layer '{layer.name}' of {type(module).__name__} is not called as a module, so that what "
                f"it reads cannot be had; {_ADVICE}"
            )

"""What the layers of an uncut network read over some images: Gram matrices, and sampled contributions."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import ChannelGraph, Layer
from model_lego.repairing.patches import input_rows

#: Images that run at once, and sampled places of each such portion.
PORTION, PLACES = 32, 400


@torch.no_grad()
def grams(model: nn.Module, graph: ChannelGraph, images: Tensor) -> dict[str, Tensor]:
    """X'X of what each layer that mixes channels reads, over images and positions, float64, by the layer's name."""
    found: dict[str, Tensor] = {}

    def add(layer: Layer, x: Tensor) -> None:
        rows = x.movedim(layer.window.channel_dim, -1).flatten(0, -2)
        gram = (rows.T @ rows).double()
        found[layer.name] = found[layer.name] + gram if layer.name in found else gram

    _hear(model, graph, images, add, mixing(graph))
    return found


@torch.no_grad()
def contributions(model: nn.Module, graph: ChannelGraph, images: Tensor, *, seed: int) -> dict[str, Tensor]:
    """C'C of each input channel's part in sampled outputs of a layer, as ThiNet takes them; by the layer's name."""
    found: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(seed)

    def add(layer: Layer, x: Tensor) -> None:
        weight = layer.window.by_output(graph.program.tensor(model, layer.weight))[0]  # outputs x inputs x taps
        places = _places(x, layer, generator)
        rows = input_rows(x, layer.window, places)[0].reshape(len(places), weight.shape[2], -1)  # rows x taps x inputs
        chosen = weight[torch.randint(len(weight), (len(rows),), generator=generator)]
        parts = (rows.transpose(1, 2) * chosen).sum(2).double()
        gram = parts.T @ parts
        found[layer.name] = found[layer.name] + gram if layer.name in found else gram

    _hear(model, graph, images, add, mixing(graph))
    return found


def mixing(graph: ChannelGraph) -> list[Layer]:
    """The layers whose outputs each read all inputs, one for each weight."""
    ordinary = [layer for layer in graph.layers if layer.groups == 1 and not layer.window.transposed]
    return list({layer.weight: layer for layer in reversed(ordinary)}.values())[::-1]


def _places(x: Tensor, layer: Layer, generator: torch.Generator) -> Tensor:
    """Places among the images and output positions of a layer, chosen at random."""
    window, count = layer.window, len(x)
    if not window.kernel:
        count = x[..., 0].numel()
    for size, kernel, stride, (before, after), dilation in zip(
        x.shape[2:], window.kernel, window.stride, window.padding, window.dilation, strict=False
    ):
        count *= (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    return torch.randint(count, (min(PLACES, count),), generator=generator)


def _hear(
    model: nn.Module,
    graph: ChannelGraph,
    images: Tensor,
    add: Callable[[Layer, Tensor], None],
    layers: Iterable[Layer],
) -> None:
    by_node = {layer.node: layer for layer in layers}

    def listen(node: fx.Node, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if node.name in by_node:
            add(by_node[node.name], given[0])
        return given

    for some in images.split(PORTION):
        graph.program.run(model, some, listen)

"""What layers read, and how much the logits depend on what they write: one pass forwards and back over some images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import ChannelGraph, Layer
from model_lego.graph.channels_last import InnermostRunner, innermost, pays
from model_lego.graph.propagation import concrete
from model_lego.progress import Progress, quiet

#: Bytes of activations that are held for the way back.
HELD_BYTES = 1 << 29


@dataclass(frozen=True, slots=True, eq=False)
class Sense:
    """What was seen of one layer, in float64.

    `covariance` (channels x channels, of its inputs over images and positions) and `energy` (their mean squares) are of
    the channels `channels`, each of which may stand at several positions (behind a flatten). `sensitivity`, one an
    output: the squared derivative of the logits, summed over positions. `change`, one a channel: the squared change
    of the logits, to first order, where the layer no longer reads it. Both are means over the images.
    """

    channels: Tensor
    covariance: Tensor
    energy: Tensor
    sensitivity: Tensor
    change: Tensor


def sense(
    model: nn.Module,
    graph: ChannelGraph,
    images: Tensor,
    *,
    classes: Sequence[int],
    seed: int = 0,
    progress: Progress = quiet,
) -> Mapping[str, Sense]:
    """Run images (N x C x H x W) through the network and back from the logits of some classes; by name of layer.

    Derivatives are those of the differences between logits, which alone decide, along one random direction an image:
    their squares are right on average, and exact for two classes. The network is left as it is.
    """
    nodes = {node.name: node for node in graph.program.nodes}
    sums = {layer.node: _Sums(layer, nodes[layer.node], graph) for layer in graph.layers}
    generator = torch.Generator().manual_seed(seed)
    basis, done = contrasts(len(classes)), 0
    images = innermost(images) if pays(graph.program, model) else images
    for some in images.split(_at_once(graph, len(images))):
        signs = torch.randint(0, 2, (len(some), len(basis)), generator=generator) * 2 - 1
        _back(model, graph, some, list(classes), signs.double() @ basis, sums)
        done += len(some)
        progress("sensing", done, len(images))
    return {each.layer.name: each.sense(len(images)) for each in sums.values()}


def _back(
    model: nn.Module, graph: ChannelGraph, images: Tensor, classes: list[int], along: Tensor, sums: dict[str, "_Sums"]
) -> None:
    program = graph.program
    listener = _Listener(program.module, set(sums))
    values = [
        images.detach().requires_grad_().clone()
        if node.name == program.image
        else program.tensor(model, program.tensors[node.name]).detach()
        for node in program.module.graph.find_nodes(op="placeholder")
    ]
    with torch.enable_grad():
        given = listener.run(*values)
        logits = (given[0] if isinstance(given, tuple | list) else given)[:, classes]
        names = list(listener.heard)
        ends = [end for name in names for end in listener.heard[name]]
        slopes = torch.autograd.grad((logits * along.to(logits)).sum(), ends, allow_unused=True)
    for place, name in enumerate(names):
        to_x, to_y = slopes[2 * place : 2 * place + 2]
        sums[name].add(listener.heard[name][0].detach(), to_x, to_y, len(images))


class _Listener(InnermostRunner):
    """Holds what the layers read and write; both are copies, so that nothing that is written over later is lost."""

    def __init__(self, module: fx.GraphModule, names: set[str]) -> None:
        super().__init__(module, None)
        self.names = names
        self.heard: dict[str, tuple[Tensor, Tensor]] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.name not in self.names:
            return super().run_node(n)
        (x, *rest), kwargs = self.fetch_args_kwargs_from_env(n)
        x = x.clone()
        if not x.requires_grad:  # does not come from the images
            x.requires_grad_()
        y = n.target(x, *rest, **kwargs)  # type: ignore[operator]
        self.heard[n.name] = (x, y)
        return y.clone()


class _Sums:
    """Running sums of one layer."""

    def __init__(self, layer: Layer, node: fx.Node, graph: ChannelGraph) -> None:
        self.layer = layer
        self.channel_dim, self.by_batch = layer.window.channel_dim, node.meta["by_batch"]
        self.order, self.channels = by_channel(layer.inputs)
        count = len(self.channels)
        self.rows = 0
        self.total = torch.zeros(count, dtype=torch.float64)
        self.squares = torch.zeros(count, count, dtype=torch.float64)
        self.slopes = torch.zeros(len(layer.outputs), dtype=torch.float64)
        self.change = torch.zeros(count, dtype=torch.float64)

    def add(self, x: Tensor, to_x: Tensor | None, to_y: Tensor | None, images: int) -> None:
        rows = self._rows(x)
        self.rows += len(rows)
        self.total += rows.sum(0).double().cpu()
        self.squares += (rows.T @ rows).double().cpu()
        if to_y is not None:
            self.slopes += to_y.square().transpose(0, self.channel_dim).flatten(1).sum(1).double().cpu()
        if to_x is not None and (len(x) % images == 0 or not self.by_batch):
            parts = images if self.by_batch else len(x)  # what runs over a whole graph belongs to no single sample
            each = self._rows(x * to_x).reshape(parts, -1, len(self.channels)).sum(1)
            self.change += each.square().sum(0).double().cpu()

    def _rows(self, x: Tensor) -> Tensor:
        """Positions x channels; a channel that stands at several places of the axis gives a row for each of them."""
        rows = x.movedim(self.channel_dim, -1).reshape(-1, len(self.layer.inputs))
        return (
            rows[:, self.order.to(rows.device)].reshape(len(rows), len(self.channels), -1).transpose(1, 2).flatten(0, 1)
        )

    def sense(self, images: int) -> Sense:
        mean = self.total / self.rows
        second = self.squares / self.rows
        covariance = second - mean[:, None] * mean
        return Sense(self.channels, covariance, second.diagonal().clone(), self.slopes / images, self.change / images)


def contrasts(classes: int) -> Tensor:
    """Orthonormal directions of the differences between logits, classes - 1 x classes; a single logit is itself."""
    if classes == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    below = torch.arange(1, classes, dtype=torch.float64)[:, None]
    number = torch.arange(classes)[None]
    rows = torch.where(number < below, 1.0, torch.where(number == below, -below, 0.0))
    return rows / (below * (below + 1)).sqrt()


def by_channel(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The order of a layer's input positions in which each channel's stand together, and the channels in that order.

    Where channels stand at different numbers of positions, each position counts as a channel of its own.
    """
    channels, counts = inputs.unique(return_counts=True)
    order = inputs.argsort(stable=True)
    return (order, channels) if int(counts.min()) == int(counts.max()) else (order, inputs[order])


def _at_once(graph: ChannelGraph, images: int) -> int:
    values = (node.meta.get("val") for node in graph.program.nodes if node.op == "call_function")
    shapes = [concrete(value.shape) for value in values if isinstance(value, Tensor)]
    an_image = sum(4 * torch.Size(shape).numel() for shape in shapes) // graph.program.batch
    return max(1, min(images, HELD_BYTES // max(1, an_image)))

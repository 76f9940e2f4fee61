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
MEMORY = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Sense:
    """What was seen of one layer, in float64.

    All is of the channels `channels` that it reads, each of which may stand at several positions (behind a flatten):
    `energy`, their mean squares; `change`, the squared change of the logits, to first order, where the layer no longer
    reads one; `covariance` (channels x channels), over images and positions; `slopes` (channels x channels), the second
    moments of the derivative of the logits by what the layer reads, summed over positions. A depthwise layer has
    neither of the two, as none of its channels can stand for another. All but the first two are means over the images.
    """

    channels: Tensor
    energy: Tensor
    change: Tensor
    covariance: Tensor | None
    slopes: Tensor | None


def sense(
    model: nn.Module,
    graph: ChannelGraph,
    images: Tensor,
    *,
    classes: Sequence[int],
    seed: int = 0,
    memory: int = MEMORY,
    progress: Progress = quiet,
) -> Mapping[str, Sense]:
    """Run images (N x C x H x W) through the network and back from the logits of some classes; by name of layer.

    Derivatives are those of the differences between logits, which alone decide, along one random direction an image:
    their squares are right on average, and exact for two classes. So many images run at once as have room in `memory`
    bytes with all that is held for the way back. The network is left as it is.
    """
    nodes = {node.name: node for node in graph.program.nodes}
    sums = {layer.node: _Sums(layer, nodes[layer.node]) for layer in graph.layers}
    generator = torch.Generator().manual_seed(seed)
    basis, done = contrasts(len(classes)), 0
    fast = pays(graph.program, model)
    for some in images.split(_at_once(graph, len(images), memory)):
        signs = torch.randint(0, 2, (len(some), len(basis)), generator=generator) * 2 - 1
        laid = innermost(some) if fast else some
        _back(model, graph, laid, list(classes), signs.double() @ basis, sums)
        done += len(some)
        progress("sensing", done, len(images))
    return {each.layer.name: each.sense(len(images)) for each in sums.values()}


def _back(
    model: nn.Module, graph: ChannelGraph, images: Tensor, classes: list[int], along: Tensor, sums: dict[str, "_Sums"]
) -> None:
    program = graph.program
    start = images.detach().requires_grad_()
    listener = _Listener(program.module, sums, len(images))
    values = [
        start.clone() if node.name == program.image else program.tensor(model, program.tensors[node.name]).detach()
        for node in program.module.graph.find_nodes(op="placeholder")
    ]
    with torch.enable_grad():
        given = listener.run(*values)
        logits = (given[0] if isinstance(given, tuple | list) else given)[:, classes]
        torch.autograd.grad((logits * along.to(logits)).sum(), [start, *listener.starts], allow_unused=True)


class _Listener(InnermostRunner):
    """Tells the sums what layers read, and on the way back the derivatives by it, which are not held any longer."""

    def __init__(self, module: fx.GraphModule, sums: Mapping[str, "_Sums"], images: int) -> None:
        super().__init__(module, None)
        self.sums, self.images = sums, images
        self.starts: list[Tensor] = []  # what layers read that does not come from the images

    def run_node(self, n: fx.Node) -> Any:
        if n.name not in self.sums:
            return super().run_node(n)
        (x, *rest), kwargs = self.fetch_args_kwargs_from_env(n)
        x = x.clone()  # nothing else reads it, or writes over it later
        if not x.requires_grad:
            self.starts.append(x.requires_grad_())
        sums, read, images = self.sums[n.name], x.detach(), self.images
        sums.add(read)
        x.register_hook(lambda slope: sums.add_slopes(read, slope, images))  # without self, which would hold the graph
        return n.target(x, *rest, **kwargs)  # type: ignore[operator]


class _Sums:
    """Running sums of one layer."""

    def __init__(self, layer: Layer, node: fx.Node) -> None:
        self.layer = layer
        self.channel_dim, self.by_batch = layer.window.channel_dim, node.meta["by_batch"]
        self.order, self.channels = by_channel(layer.inputs)
        self.in_order = len(self.channels) == len(layer.inputs) and bool((self.order.diff() == 1).all())
        count = len(self.channels)
        side = 0 if layer.depthwise else count
        self.rows = 0
        self.total, self.energy, self.change = torch.zeros(3, count, dtype=torch.float64)
        self.squares, self.slopes = torch.zeros(2, side, side, dtype=torch.float64)

    def add(self, x: Tensor) -> None:
        """Add what the layer reads of some images."""
        rows = self._rows(x)
        self.rows += len(rows)
        if self.layer.depthwise:
            self.energy += rows.square().sum(0).double().cpu()
        else:
            self.total += rows.sum(0).double().cpu()
            self.squares += (rows.T @ rows).double().cpu()

    def add_slopes(self, x: Tensor, slope: Tensor, images: int) -> None:
        """Add the derivatives by it."""
        if not self.layer.depthwise:
            rows = self._rows(slope)
            self.slopes += (rows.T @ rows).double().cpu()
        if len(x) % images == 0 or not self.by_batch:
            parts = images if self.by_batch else len(x)  # what runs over a whole graph belongs to no single sample
            each = self._rows(x * slope).reshape(parts, -1, len(self.channels)).sum(1)
            self.change += each.square().sum(0).double().cpu()

    def _rows(self, x: Tensor) -> Tensor:
        """Positions x channels; a channel that stands at several places of the axis gives a row for each of them."""
        rows = x.movedim(self.channel_dim, -1).reshape(-1, len(self.layer.inputs))
        if self.in_order:
            return rows
        return (
            rows[:, self.order.to(rows.device)].reshape(len(rows), len(self.channels), -1).transpose(1, 2).flatten(0, 1)
        )

    def sense(self, images: int) -> Sense:
        change = self.change / images
        if self.layer.depthwise:
            return Sense(self.channels, self.energy / self.rows, change, None, None)
        mean, second = self.total / self.rows, self.squares / self.rows
        covariance = second - mean[:, None] * mean
        return Sense(self.channels, second.diagonal().clone(), change, covariance, self.slopes / images)


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


def _at_once(graph: ChannelGraph, images: int, memory: int) -> int:
    """How many images: each holds what every operator gives, and a copy of what the layers read."""
    nodes = {node.name: node for node in graph.program.nodes}
    held = [node.meta.get("val") for node in graph.program.nodes if node.op == "call_function"]
    held += [nodes[layer.node].args[0].meta.get("val") for layer in graph.layers]  # type: ignore[union-attr]
    sizes = [torch.Size(concrete(v.shape)).numel() * v.element_size() for v in held if isinstance(v, Tensor)]
    return max(1, min(images, memory // max(1, sum(sizes) // graph.program.batch)))

"""What layers read, and how much the logits depend on what they write: one pass forwards and back over some images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.budgets.product_sense import ProductSum
from model_lego.data.batching import Images
from model_lego.graph import ChannelGraph, Layer
from model_lego.graph.channels_last import InnermostRunner, innermost, pays
from model_lego.graph.modules import first_parameter
from model_lego.graph.nodes import writes
from model_lego.graph.propagation import concrete
from model_lego.progress import Progress, quiet
from model_lego.repairing.holding import give_back
from model_lego.repairing.least_squares import Moments
from model_lego.repairing.patches import chosen

#: Bytes of activations that are held for the way back, at most: with more at once, nothing is faster.
MEMORY = 1 << 28
#: So many rows for each channel that a layer reads, and at least so many, say enough of what it reads.
PLENTY, LEAST = 50, 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A part of what a layer reads: what differs between images, or within them; channels x channels, float64.

    `covariance` of what it reads; `slopes`, the second moments of the derivative of the logits by it, so that errors of
    some covariance in this part change the logits by the trace of the product, in the mean square. `chance` is the
    share of the squared correlations that is due to the images which there happened to be.
    """

    covariance: Tensor
    slopes: Tensor
    chance: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sense:
    """What was seen of one layer, in float64.

    All is of the channels `channels` that it reads, each of which may stand at several positions (behind a flatten):
    `energy`, their mean squares; `change`, the squared change of the logits, to first order, where the layer no longer
    reads one; `bands`: errors that are alike all over an image add up over its positions, and are told apart from those
    that are not. A depthwise layer has no bands, as none of its channels can stand for another; one that reads a single
    position has one. `positions` is how often a channel stands in an image. Of large maps `energy` and what differs
    within images are told from a sample of the positions.
    """

    channels: Tensor
    energy: Tensor
    change: Tensor
    bands: tuple[Band, ...] = ()
    positions: float = 1.0


def sense(
    model: nn.Module,
    graph: ChannelGraph,
    images: Images,
    *,
    classes: Sequence[int],
    seed: int = 0,
    memory: int = MEMORY,
    progress: Progress = quiet,
) -> Mapping[str, Sense]:
    """Run images (N x C x H x W) through the network and back from the logits of some classes; by name of layer.

    Products of queries and keys are among them by the names of their nodes, with the change alone.
    Derivatives are those of the differences between logits, which alone decide, along one random direction an image:
    their squares are right on average, and exact for two classes. So many images run at once as have room in `memory`
    bytes (and no more than in MEMORY) with all that is held for the way back. The network is left as it is.
    """
    nodes = {node.name: node for node in graph.program.nodes}
    sums = {layer.node: _Sums(layer, nodes[layer.node], len(images), seed) for layer in graph.layers}
    products = {product.node: ProductSum(product, graph.program.batch) for product in graph.products}
    generator = torch.Generator().manual_seed(seed)
    basis, done = contrasts(len(classes)), 0
    fast = pays(graph.program, model)
    give_back()  # what reading images left behind
    at_once, like = _at_once(graph, len(images), min(memory, MEMORY)), first_parameter(model)
    for start in range(0, len(images), at_once):
        some = images[start : start + at_once].to(like)
        signs = torch.randint(0, 2, (len(some), len(basis)), generator=generator) * 2 - 1
        laid = innermost(some) if fast else some
        _back(model, graph, laid, list(classes), signs.double() @ basis, (sums, products))
        done += len(some)
        progress("sensing", done, len(images))
    give_back()
    # each goes as what it says is there: both of all layers are more than the way back takes
    found = {layer.name: sums.pop(layer.node).sense(len(images)) for layer in graph.layers}
    give_back()
    nothing = {name: torch.zeros_like(each.change) for name, each in products.items()}
    return found | {n: Sense(each.channels, nothing[n], each.change / len(images)) for n, each in products.items()}


def _back(
    model: nn.Module, graph: ChannelGraph, images: Tensor, classes: list[int], along: Tensor, sums: "_All"
) -> None:
    program = graph.program
    start = images.detach().requires_grad_()
    listener = _Listener(program.module, *sums, len(images))
    values = [
        start.clone() if node.name == program.image else program.tensor(model, program.tensors[node.name]).detach()
        for node in program.module.graph.find_nodes(op="placeholder")
    ]
    with torch.enable_grad():
        given = listener.run(*values)
        logits = (given[0] if isinstance(given, tuple | list) else given)[:, classes]
        torch.autograd.grad((logits * along.to(logits)).sum(), [start, *listener.starts], allow_unused=True)


#: The sums of all layers and of all products, by node.
_All = tuple[dict[str, "_Sums"], dict[str, ProductSum]]


class _Listener(InnermostRunner):
    """Tells the sums what layers read, and on the way back the derivatives by it, which are not held any longer."""

    def __init__(
        self, module: fx.GraphModule, sums: Mapping[str, "_Sums"], products: Mapping[str, ProductSum], images: int
    ) -> None:
        super().__init__(module, None)
        self.sums, self.products, self.images = sums, products, images
        self.written = any(map(writes, module.graph.nodes))
        self.starts: list[Tensor] = []  # what layers read that does not come from the images

    def run_node(self, n: fx.Node) -> Any:
        if n.name in self.products:
            return self._multiply(n)
        if n.name not in self.sums:
            return super().run_node(n)
        (x, *rest), kwargs = self.fetch_args_kwargs_from_env(n)
        x = x.clone() if self.written else x.view_as(x)  # nothing else reads it, or writes over it later
        if not x.requires_grad:
            self.starts.append(x.requires_grad_())
        sums, read, images = self.sums[n.name], x.detach(), self.images
        places = sums.add(read, images)
        x.register_hook(lambda slope: sums.add_slopes(read, slope, places, images))  # self would hold the graph
        return n.target(x, *rest, **kwargs)  # type: ignore[operator]

    def _multiply(self, n: fx.Node) -> Any:
        (queries, *rest), kwargs = self.fetch_args_kwargs_from_env(n)
        queries = queries.view_as(queries)
        summed, read, images = self.products[n.name], queries.detach(), self.images
        if queries.requires_grad:
            queries.register_hook(lambda slope: summed.add(read, slope, images))
        return n.target(queries, *rest, **kwargs)  # type: ignore[operator]


class _Sums:
    """Running sums of one layer."""

    def __init__(self, layer: Layer, node: fx.Node, images: int, seed: int) -> None:
        self.layer, self.images = layer, images
        self.channel_dim, self.by_batch = layer.window.channel_dim, node.meta["by_batch"]
        self.order, self.channels = by_channel(layer.inputs)
        self.in_order = len(self.channels) == len(layer.inputs) and bool((self.order.diff() == 1).all())
        count = len(self.channels)
        self.generator = torch.Generator().manual_seed(seed)
        self.rows = self.positions = 0
        self.energy, self.change = torch.zeros(2, count, dtype=torch.float64)
        self.means: list[Tensor] = []  # of each image over its positions, and the slopes' sums over these
        self.summed: list[Tensor] = []
        *self.halves, self.slopes = (Moments(1, 0 if layer.depthwise else count, 0) for _ in range(3))

    def add(self, x: Tensor, images: int) -> Tensor | None:
        """Add what the layer reads of some images; gives the positions that were taken, None for all of them."""
        positions = x.numel() // len(self.layer.inputs)
        places = self._places(positions, images)
        rows = self._rows(x, places)
        self.rows += len(rows)
        stands = x.numel() // len(self.channels)  # how often each channel does
        self.positions += stands
        if self.layer.depthwise:
            self.energy += rows.square().sum(0).double().cpu()
        else:
            for half, some in zip(self.halves, rows.tensor_split(2), strict=True):
                half.add(some[None], some.new_empty(1, len(some), 0))
            if self.by_batch:
                self.means.append(self._over_images(x, images) * (images / stands))
        return places

    def add_slopes(self, x: Tensor, slope: Tensor, places: Tensor | None, images: int) -> None:
        """Add the derivatives by it, at the same positions."""
        if not self.layer.depthwise:
            rows = self._rows(slope, places)
            self.slopes.add(rows[None], rows.new_empty(1, len(rows), 0))
            if self.by_batch:
                self.summed.append(self._over_images(slope, images))
        if len(x) % images == 0 or not self.by_batch:
            parts = images if self.by_batch else len(x)  # what runs over a whole graph belongs to no single sample
            each = self._rows(x * slope, None).reshape(parts, -1, len(self.channels)).sum(1)
            self.change += each.square().sum(0).double().cpu()

    def _places(self, positions: int, images: int) -> Tensor | None:
        """Positions of some images, one at random in each of so many stretches of equal length."""
        wanted = math.ceil(max(LEAST, PLENTY * len(self.channels)) * images / self.images)
        if wanted >= positions:
            return None
        stretch = torch.arange(wanted) + torch.rand(wanted, generator=self.generator, dtype=torch.float64)
        return (stretch * (positions / wanted)).long().clamp_(max=positions - 1)

    def _rows(self, x: Tensor, places: Tensor | None) -> Tensor:
        """Positions x channels; a channel that stands at several places of the axis gives a row for each of them."""
        values = x.movedim(self.channel_dim, -1)
        if places is None:
            rows = values.reshape(-1, len(self.layer.inputs))
        else:
            rows = chosen(values, places.to(x.device), x.dim() - 1)
        if self.in_order:
            return rows
        return (
            rows[:, self.order.to(rows.device)].reshape(len(rows), len(self.channels), -1).transpose(1, 2).flatten(0, 1)
        )

    def _over_images(self, x: Tensor, images: int) -> Tensor:
        """Sums over the positions of each image: images x channels."""
        values = x.movedim(self.channel_dim, -1)
        values = values.reshape(images, -1, *values.shape[1:]) if len(values) != images else values
        total = values.sum(tuple(range(1, values.dim() - 1))) if values.dim() > 2 else values
        return total[:, self.order.to(x.device)].reshape(images, len(self.channels), -1).sum(2).float().cpu()

    def sense(self, images: int) -> Sense:
        change = self.change / images
        if self.layer.depthwise:
            return Sense(self.channels, self.energy / self.rows, change)
        differing = chance(*(half.centred()[0][0] / half.rows.clamp(min=1) for half in self.halves))
        read = self.halves[0].joined(self.halves[1])
        products, covariance = read.products()[0], read.centred()[0][0] / self.rows
        slopes = self.slopes.products()[0] * (self.positions / self.rows / images)
        whole = Band(covariance, slopes, differing)
        bands, positions = self._bands(whole, images), self.positions / images
        return Sense(self.channels, products.diagonal() / self.rows, change, bands, positions)

    def _bands(self, whole: Band, images: int) -> tuple[Band, ...]:
        """What differs between images, and within them."""
        positions = self.positions / images
        if not self.means or positions <= 1:
            return (whole,)
        means, summed = torch.cat(self.means).double(), torch.cat(self.summed).double()
        covariance, slopes = _covariance(means), summed.T @ summed / images
        differing = 1.0 if images < 4 else chance(_covariance(means[::2]), _covariance(means[1::2]))
        between = Band(covariance, slopes, differing)
        within = Band(whole.covariance - covariance, whole.slopes - slopes / positions, whole.chance)
        return between, within


def _covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def chance(one: Tensor, other: Tensor) -> float:
    """Which share of the squares of correlations is due to the sample, told by how two halves of it differ; 0 to 1.

    `one` and `other` are covariances (channels x channels). It is the weight of Ledoit and Wolf (2004) between a
    covariance and its diagonal, with the variance of the mean of two halves in place of their fourth moments.
    """
    mean, apart = (one + other) / 2, (one - other) / 2
    scale = mean.diagonal().clamp(min=1e-30).rsqrt()
    seen, differing = (
        float((part * scale[:, None] * scale).fill_diagonal_(0).square().sum()) for part in (mean, apart)
    )
    return min(1.0, differing / seen) if seen > 0 else float(differing > 0)


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
    """How many images: each holds what every operator gives, and where something is written over, what layers read."""
    nodes = {node.name: node for node in graph.program.nodes}
    held = [node.meta.get("val") for node in graph.program.nodes if node.op == "call_function"]
    if any(map(writes, nodes.values())):
        held += [nodes[layer.node].args[0].meta.get("val") for layer in graph.layers]  # type: ignore[union-attr]
    sizes = [torch.Size(concrete(v.shape)).numel() * v.element_size() for v in held if isinstance(v, Tensor)]
    return max(1, min(images, memory // max(1, sum(sizes) // graph.program.batch)))

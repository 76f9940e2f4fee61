"""The running sums: a Summer listens to the network while it runs, and adds up the contributions of its layers."""

from collections.abc import Mapping
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.attribution.contribution import LinearForm, TapForm, form_of
from model_lego.attribution.statistics import LayerStats
from model_lego.graph import ChannelGraph, Layer
from model_lego.graph.node_rows import Reader
from model_lego.graph.propagation import concrete
from model_lego.graph.rule import Window

#: Elements of block x samples x out_channels held at once: small enough for the cache of one core.
BLOCK_ELEMENTS = 1 << 20


#: Samples whose terms are held before they are summed: the more of one class come together, the cheaper.
HELD_SAMPLES = 256


class Summer:
    """Hears of every operator of the running network and sums the contributions of the mixing ones."""

    def __init__(self, model: nn.Module, graph: ChannelGraph, classes: tuple[int, ...]) -> None:
        self.classes = torch.tensor(classes)
        self.counts = torch.zeros(len(classes), dtype=torch.int64)
        nodes = {node.name: node for node in graph.program.nodes}
        self.reader = Reader(graph.program, graph.rules, model)
        self.sums = {
            layer.node: _LayerSum(layer, _form(model, graph, layer, nodes[layer.node]), len(classes))
            for layer in graph.layers
            if layer.groups == 1 or layer.groups < len(layer.inputs)
        }
        self.held: list[Tensor] = []  # places of the classes of the samples that are not summed yet

    @property
    def full(self) -> bool:
        """Whether enough is held to be summed."""
        return sum(map(len, self.held)) >= HELD_SAMPLES

    def begin(self, images: Tensor, labels: Tensor) -> None:
        """Take the batch that runs next."""
        self.reader.start(images)
        self.held.append((labels[:, None] == self.classes).int().argmax(1))

    def __call__(self, node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Take what the layers read, as an intercept of the program; changes nothing."""
        found = self.sums.get(node.name)
        if found is not None:
            found.hold(self.reader.read(node.name, args[0]), len(self.held[-1]))
        return args

    def flush(self) -> None:
        """Sum what is held."""
        if not self.held:
            return
        places = torch.cat(self.held)
        present, counts = places.unique(return_counts=True)
        self.counts[present] += counts
        order, ends = places.argsort(stable=True), [0, *counts.cumsum(0).tolist()]
        runs = [(place, *run) for place, run in zip(present.tolist(), pairwise(ends), strict=True)]
        for found in self.sums.values():
            found.add(order, runs)
        self.held = []

    def state(self) -> dict[str, Tensor]:
        """All that is summed so far, by number; nothing may be held."""
        return {str(number): tensor for number, tensor in enumerate(self.tensors())}

    def resume(self, state: Mapping[str, Tensor]) -> int:
        """Take up a state; gives the number of samples that are in it."""
        for number, tensor in enumerate(self.tensors()):
            tensor.copy_(state[str(number)])
        return int(self.counts.sum())

    def tensors(self) -> list[Tensor]:
        """Give all that is summed, in the order of the layers."""
        self.flush()
        each = [(one.positive, one.negative) if one.two_vectors else (one.sums,) for one in self.sums.values()]
        return [self.counts, *chain.from_iterable(each)]

    def layers(self) -> dict[str, LayerStats]:
        """Give the sums."""
        self.flush()
        return {found.layer.name: found.stats() for found in self.sums.values()}


def bytes_a_class(model: nn.Module, graph: ChannelGraph) -> int:
    """Bytes of the sums of one class."""
    return sum(tensor.nbytes for tensor in Summer(model, graph, (0,)).tensors())


def _form(model: nn.Module, graph: ChannelGraph, layer: Layer, node: fx.Node) -> TapForm | LinearForm:
    rule = graph.rules[node.target]
    assert rule.window is not None  # every mixing row has one
    shapes = [concrete(arg.meta["val"].shape) if isinstance(arg, fx.Node) else None for arg in node.args]
    window: Window = rule.window(list(node.args), shapes)
    spatial = shapes[0][2:] if window.kernel else ()  # type: ignore[index]
    return form_of(graph.program.tensor(model, layer.weight).detach(), window, tuple(spatial))


class _LayerSum:
    """Running sums of one layer, in float64."""

    def __init__(self, layer: Layer, form: TapForm | LinearForm, classes: int) -> None:
        self.layer = layer
        self.form = form
        self.held: list[Tensor] = []
        inputs, terms, outputs = form.weight.shape
        self.two_vectors = terms == 1
        if self.two_vectors:
            self.positive = torch.zeros(classes, inputs, dtype=torch.float64)
            self.negative = torch.zeros(classes, inputs, dtype=torch.float64)
        else:
            self.sums = torch.zeros(classes, inputs, outputs, dtype=torch.float64)

    def hold(self, x: Tensor, samples: int) -> None:
        """Take what the layer reads of a batch."""
        terms = by_sample(self.form.terms(x if x.dtype in (torch.float32, torch.float64) else x.float()), samples)
        self.held.append(terms[..., 0] if self.two_vectors else terms.transpose(0, 1))

    def add(self, order: Tensor, runs: list[tuple[int, int, int]]) -> None:
        """Add what is held, whose samples in this order are sorted by class; a run is place of a class, start, stop."""
        terms = torch.cat(self.held, 0 if self.two_vectors else 1)
        order = order.to(terms.device)
        self.held = []
        if self.two_vectors:  # samples x in_channels
            values = terms[order].double().cpu()
            for place, start, stop in runs:
                self.positive[place] += values[start:stop].clamp(min=0).sum(0)
                self.negative[place] -= values[start:stop].clamp(max=0).sum(0)
            return
        terms, weight = terms.index_select(1, order), self.form.weight.to(terms.dtype)  # in_channels x samples x terms
        for place, start, stop in runs:
            self.sums[place] += positive_sum(terms[:, start:stop], weight).cpu()

    def stats(self) -> LayerStats:
        """Give the sums as they stand."""
        widths = (len(self.layer.inputs), len(self.layer.outputs), self.layer.groups)
        if self.two_vectors:
            weight = self.form.weight[:, 0].clone(memory_format=torch.contiguous_format)
            return LayerStats(*widths, None, tuple(self.positive), tuple(self.negative), weight)
        return LayerStats(*widths, tuple(self.sums), None, None, None)


def positive_sum(terms: Tensor, weight: Tensor) -> Tensor:
    """Sum of s+ over some samples: terms in_channels x samples x terms, gives in_channels x out_channels/groups.

    In blocks of input channels that stay in cache, all in the same memory: fresh memory would cost as much as the
    products. The sum as a product with ones is faster than `sum`.
    """
    inputs, samples, _ = terms.shape
    total = terms.new_empty(inputs, 1, weight.shape[2])
    block = max(1, min(inputs, BLOCK_ELEMENTS // (samples * weight.shape[2])))
    products = terms.new_empty(block, samples, weight.shape[2])
    ones = terms.new_ones(1, 1, samples).expand(block, 1, samples)
    for start in range(0, inputs, block):
        part = slice(start, min(start + block, inputs))
        positive = torch.bmm(terms[part], weight[part], out=products[: len(terms[part])]).clamp_(min=0)
        torch.bmm(ones[: len(positive)], positive, out=total[part])
    return total[:, 0]


def by_sample(terms: Tensor, batch: int) -> Tensor:
    """Sum over what a layer reads of each sample: batch x in_channels x terms.

    A network may fold positions into the batch, samples first (windows of tokens); what does not grow with the batch
    is the same for all samples.
    """
    if len(terms) == batch:
        return terms
    if len(terms) % batch == 0:
        return terms.reshape(batch, -1, *terms.shape[1:]).sum(1)
    return terms.sum(0, keepdim=True).expand(batch, -1, -1)

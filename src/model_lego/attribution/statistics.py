"""attribute: the contributions of every layer, summed over the samples of each class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.attribution.contribution import TapForm, tap_form
from model_lego.attribution.sampling import Sampling, choose, chosen, gathered, no_sample
from model_lego.batches import Batches
from model_lego.digest import digest_of
from model_lego.errors import EmptySelection, UnknownClass
from model_lego.graph import ChannelGraph, Layer
from model_lego.graph.rule import Window
from model_lego.graph.walk import concrete
from model_lego.processes import Group, add_up, in_all, place_in
from model_lego.progress import Progress, quiet

#: Elements of batch x block x out_channels held at once: small enough for the cache of one core.
BLOCK_ELEMENTS = 1 << 19


@dataclass(frozen=True, slots=True, eq=False)
class LayerStats:
    """Sums over the samples of each class of s+ (equation 3), for one layer.

    Either `sums` (in_channels x classes x out_channels/groups), or, where a layer reads one number a channel, the two
    vectors that give them: s+ = relu(weight) * positive + relu(-weight) * negative, each classes x in_channels.
    """

    inputs: int  # number of input channels
    outputs: int
    groups: int
    sums: Tensor | None
    positive: Tensor | None
    negative: Tensor | None
    weight: Tensor | None  # in_channels x out_channels/groups

    def summed(self, place: int) -> Tensor:
        """s+ of one class, summed over its samples: out_channels x in_channels/groups, float64."""
        outputs = torch.ones(self.outputs // self.groups, dtype=torch.bool)
        return torch.cat([self.rows(place, group, outputs) for group in range(self.groups)])

    def rows(self, place: int, group: int, outputs: Tensor) -> Tensor:
        """s+ of one class, summed over its samples, for some outputs (bool) of one group: outputs x in_channels/groups.

        A classifier's first matrix may have 10^8 entries, of which location needs few rows.
        """
        width = self.inputs // self.groups
        inputs = slice(group * width, (group + 1) * width)
        if self.sums is not None:
            return self.sums[inputs, place][:, outputs].T
        assert self.positive is not None
        assert self.negative is not None
        assert self.weight is not None
        weight = self.weight[inputs][:, outputs].T.double()
        s = weight.clamp(min=0).mul_(self.positive[place, inputs])
        return s.addcmul_(weight.clamp_(max=0), self.negative[place, inputs], value=-1)


@dataclass(frozen=True, slots=True, eq=False)
class ContributionStats:
    """Contributions of all layers for some classes (label numbers of the source), with how they were sampled.

    `source` is the digest of the network that they were taken from.
    """

    classes: tuple[int, ...]
    counts: tuple[int, ...]  # samples a class
    layers: Mapping[str, LayerStats]
    sampling: Sampling
    source: str
    fallbacks: tuple[int, ...] = ()

    def mean(self, layer: str, label: int) -> Tensor:
        """s+ of one class, averaged over its samples: out_channels x in_channels/groups, float64 (Eq. 3)."""
        place = self._place(label)
        return self.layers[layer].summed(place) / self.counts[place]

    def mean_rows(self, layer: str, label: int, group: int, outputs: Tensor) -> Tensor:
        """The same for some outputs (bool) of one group only: outputs x in_channels/groups."""
        place = self._place(label)
        return self.layers[layer].rows(place, group, outputs) / self.counts[place]

    def _place(self, label: int) -> int:
        if label not in self.classes:
            raise UnknownClass(f"class {label} is not in the statistics, which have {list(self.classes)}")
        return self.classes.index(label)

    def __str__(self) -> str:
        return (
            f"ContributionStats({len(self.layers)} layers, classes {list(self.classes)}, samples {list(self.counts)})"
        )


def attribute(
    model: nn.Module,
    batches: Batches,
    *,
    graph: ChannelGraph,
    classes: Sequence[int] | None = None,
    sampling: Sampling = "confident",
    per_class: int | None = None,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    progress: Progress = quiet,
    group: Group = None,
) -> ContributionStats:
    """Sum the contributions of every layer over samples of each class (equations 1-3, s+ taken for each sample).

    `classes` are label numbers, all of the network's by default; memory grows with these only. Depthwise layers are
    left out: each of their channels has one input. `class_names` are for messages alone. With a `group` of
    torch.distributed, every process of which makes this call with the same batches, each reads its share of them and
    all get the same sums. Raises BadBatches, EmptySelection, ProcessFailed, ShapeMismatch, UnknownClass.
    """
    classes = tuple(range(len(graph.head))) if classes is None else tuple(classes)
    for label in classes:
        if not 0 <= label < len(graph.head):
            raise UnknownClass(f"class {label} is not among the {len(graph.head)} classes of the network")
    choice = choose(
        model, graph, batches, classes=classes, sampling=sampling, per_class=per_class, seed=seed,
        class_names=class_names, progress=progress, group=group,
    )  # fmt: skip
    summer = _Summer(model, graph, classes)
    samples = chosen(
        batches, choice, shape=graph.program.image_shape, labels=len(graph.head), classes=classes,
        share=place_in(group),
    )  # fmt: skip
    total = sum(choice.fingerprints.values()) if choice else None
    in_all(lambda: _read(model, graph, gathered(samples), summer, total, progress), group)
    add_up(summer.tensors(), group)
    empty = [label for label, count in zip(classes, summer.counts.tolist(), strict=True) if not count]
    if empty:
        raise EmptySelection(no_sample(empty[0], class_names))
    return summer.finish(sampling, digest_of(model), choice.fallbacks if choice is not None else ())


def _read(
    model: nn.Module,
    graph: ChannelGraph,
    samples: Iterable[tuple[Tensor, Tensor]],
    summer: "_Summer",
    total: int | None,
    progress: Progress,
) -> None:
    """Run the network over the samples while the summer listens."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    done = 0
    with torch.no_grad():
        for images, numbers in samples:
            summer.begin(numbers)
            graph.program.run(model, images.to(device), summer)
            done += len(images)
            progress("summing contributions", done, total)
    progress("summing contributions", done, done)


class _Summer:
    """Hears of every operator of the running network and sums the contributions of the mixing ones."""

    def __init__(self, model: nn.Module, graph: ChannelGraph, classes: tuple[int, ...]) -> None:
        self.classes = torch.tensor(classes)
        self.counts = torch.zeros(len(classes), dtype=torch.int64)
        self.sums: dict[str, _LayerSum] = {}
        nodes = {node.name: node for node in graph.program.nodes}
        for layer in graph.layers:
            if layer.groups == 1 or layer.groups < len(layer.inputs):
                self.sums[layer.node] = _layer_sum(model, graph, layer, nodes[layer.node], len(classes))
        self.one_hot = torch.empty(0)

    def begin(self, labels: Tensor) -> None:
        """Take the labels of the batch that runs next."""
        self.one_hot = (labels[None, :] == self.classes[:, None]).double()
        self.counts += self.one_hot.sum(1).long()

    def __call__(self, node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        found = self.sums.get(node.name)
        if found is not None:
            found.add(args[0], self.one_hot)
        return args

    def tensors(self) -> Iterator[Tensor]:
        """Yield all that is summed, in the order of the layers."""
        yield self.counts
        for found in self.sums.values():
            yield from (found.positive, found.negative) if found.two_vectors else (found.sums,)

    def finish(self, sampling: Sampling, source: str, fallbacks: tuple[int, ...]) -> ContributionStats:
        """Give the statistics."""
        return ContributionStats(
            classes=tuple(self.classes.tolist()),
            counts=tuple(self.counts.tolist()),
            layers={found.layer.name: found.stats() for found in self.sums.values()},
            sampling=sampling,
            source=source,
            fallbacks=fallbacks,
        )


def _layer_sum(
    model: nn.Module,
    graph: ChannelGraph,
    layer: Layer,
    node: fx.Node,
    classes: int,
) -> "_LayerSum":
    rule = graph.rules[node.target]
    assert rule.window is not None  # every mixing row has one
    shapes = [concrete(arg.meta["val"].shape) if isinstance(arg, fx.Node) else None for arg in node.args]
    window: Window = rule.window(list(node.args), shapes)
    weight = graph.program.tensor(model, layer.weight).detach()
    spatial = shapes[0][2:] if window.kernel else ()  # type: ignore[index]
    form = tap_form(weight, window, tuple(spatial))
    return _LayerSum(layer, form, classes)


class _LayerSum:
    """Running sums of one layer, in float64."""

    def __init__(self, layer: Layer, form: TapForm, classes: int) -> None:
        self.layer = layer
        self.form = form
        inputs, terms, outputs = form.weight.shape
        self.two_vectors = terms == 1
        if self.two_vectors:
            self.positive = torch.zeros(classes, inputs, dtype=torch.float64)
            self.negative = torch.zeros(classes, inputs, dtype=torch.float64)
        else:
            self.sums = torch.zeros(inputs, classes, outputs, dtype=torch.float64)

    def add(self, x: Tensor, one_hot: Tensor) -> None:
        """Add one batch; `one_hot` is classes x batch."""
        terms = self.form.terms(x if x.dtype in (torch.float32, torch.float64) else x.float())
        terms = _by_sample(terms, one_hot.shape[1])
        if self.two_vectors:
            values = terms[..., 0].double().cpu()
            self.positive += one_hot @ values.clamp(min=0)
            self.negative += one_hot @ (-values).clamp(min=0)
            return
        weight = self.form.weight.to(terms.dtype)
        hot = one_hot.to(terms)
        block = max(1, BLOCK_ELEMENTS // (terms.shape[0] * weight.shape[2]))
        by_input = terms.transpose(0, 1).contiguous()  # in_channels x batch x terms
        for start in range(0, len(by_input), block):
            stop = start + block
            s = torch.bmm(by_input[start:stop], weight[start:stop]).clamp_(min=0)  # s+, per sample
            self.sums[start:stop] += torch.matmul(hot, s).cpu()

    def stats(self) -> LayerStats:
        """Give the sums as they stand."""
        widths = (len(self.layer.inputs), len(self.layer.outputs), self.layer.groups)
        if self.two_vectors:
            return LayerStats(*widths, None, self.positive, self.negative, self.form.weight[:, 0].clone())
        return LayerStats(*widths, self.sums, None, None, None)


def _by_sample(terms: Tensor, batch: int) -> Tensor:
    """Sum over what a layer reads of each sample: batch x in_channels x terms.

    A network may fold positions into the batch, samples first (windows of tokens); what does not grow with the batch
    is the same for all samples.
    """
    if len(terms) == batch:
        return terms
    if len(terms) % batch == 0:
        return terms.reshape(batch, -1, *terms.shape[1:]).sum(1)
    return terms.sum(0, keepdim=True).expand(batch, -1, -1)

"""Equations (4)-(8): from contributions to the channels that decide for a class, walking backwards along the graph."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.attribution.attributing import asked_for
from model_lego.attribution.statistics import ContributionStats
from model_lego.attribution.thresholds import Thresholds
from model_lego.graph import ChannelGraph, ChannelSelection, Layer, select
from model_lego.graph import labels as lab
from model_lego.graph.channels import Product
from model_lego.parts.class_names import Classes

EPS = 1e-5
#: Contributions that differ by less, relatively, are equal: rounding must not decide.
EQUAL = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """For each class the channels that are relevant, and a soft score of every channel.

    `hard` is classes x channels (bool), `soft` classes x channels (0..1, the largest over the readers of a channel).
    """

    classes: tuple[int, ...]
    hard: Tensor
    soft: Tensor


def aggregate(s: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Equations (4) and (5): soft and hard relevance of inputs to each output, both out x in.

    Where all contributions of an output are equal and positive (one input, for instance) every input is relevant;
    where all are zero the one that adds most to all these outputs together.
    """
    low, high = s.min(1, keepdim=True).values, s.max(1, keepdim=True).values
    soft = (s - low) / (high - low + EPS)  # (4)
    hard = soft >= alpha  # (5)
    equal = (high - low <= EQUAL * high) & (high > 0)
    softest = torch.zeros_like(hard[0])
    softest[s.sum(0).argmax()] = True
    return torch.where(equal, torch.ones_like(soft), soft), torch.where(high == 0, softest, hard | equal)


def allocate(hard: Tensor, sums: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Equations (6)-(8): soft and hard relevance of a layer's inputs, from its relevant outputs.

    `hard` has a row for each relevant output; `sums` are the soft sums of the inputs. Where all counts are equal and
    positive every input is relevant; where all are zero the one with the largest soft sum.
    """
    t = hard.double().sum(0)  # (6)
    low, high = t.min(), t.max()
    if high == 0:
        one = torch.zeros_like(t, dtype=torch.bool)
        one[sums.argmax()] = True
        return one.double(), one
    if high == low:
        return torch.ones_like(t), torch.ones_like(t, dtype=torch.bool)
    r = (t - low) / (high - low + EPS)  # (7)
    return r, r >= beta  # (8)


def relevance(
    graph: ChannelGraph, stats: ContributionStats, *, classes: Sequence[int], thresholds: Thresholds | None = None
) -> Relevance:
    """Walk from each class's logit back to the images (equations 4-8).

    Layers are visited in reverse order of execution. A channel is relevant where any reader finds it so; the outputs
    that count at a layer are those found relevant by the readers visited before it. Frozen channels always count.
    """
    hard = torch.zeros(len(classes), graph.width, dtype=torch.bool)
    soft = torch.zeros(len(classes), graph.width, dtype=torch.float64)
    for place, label in enumerate(classes):
        for visit in walk(graph, stats, label, hard[place], thresholds=thresholds):
            soft[place].scatter_reduce_(0, visit.inputs, visit.allocated, "amax")
    return Relevance(tuple(classes), hard, soft)


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """What equations (4)-(8) find at one layer (one group of a grouped layer) for one class.

    `inputs` and `outputs` are the channels of what the group reads, and of those of its outputs that are relevant;
    `aggregated` and `edges` equations (4) and (5), relevant outputs x inputs; `allocated` and `found` (7) and (8).
    """

    layer: Layer
    inputs: Tensor
    outputs: Tensor
    aggregated: Tensor
    edges: Tensor
    allocated: Tensor
    found: Tensor


def walk(
    graph: ChannelGraph, stats: ContributionStats, label: int, hard: Tensor, *, thresholds: Thresholds | None = None
) -> Iterator[Visit]:
    """Walk from the logit of a class back to the images; marks in `hard` (one bool a channel) what is relevant."""
    thresholds = thresholds or Thresholds()
    hard[graph.frozen] = True
    hard[graph.head[label]] = True
    waiting = list(graph.products)
    for layer in reversed(graph.layers):
        for product in [each for each in waiting if lab.meet(each.operands[0], layer.outputs)]:
            waiting.remove(product)
            _follow_heads(graph, stats, label, hard, product)
        if layer.name in stats.layers:
            yield from _visits(stats, layer, label, hard, *thresholds.of(layer))


def _follow_heads(graph: ChannelGraph, stats: ContributionStats, label: int, hard: Tensor, product: Product) -> None:
    """Mark channels of queries and keys in `hard`: in a head whose values are relevant, as large a share as of these.

    The equations stop at a product of two values. The channels taken are those to which the layers that make queries
    and keys contribute most.
    """
    asked = product.operands[0].reshape(-1).unique()
    made = torch.zeros(graph.width, dtype=torch.float64)
    for layer in graph.layers:
        if layer.name in stats.layers and layer.groups == 1 and lab.meet(layer.outputs, asked):
            sums = stats.mean_rows(layer.name, label, 0, torch.ones(len(layer.outputs), dtype=torch.bool)).sum(1)
            made.index_add_(0, layer.outputs, sums.clamp(min=1e-30).log())
    for head in graph.head_of[asked].unique():
        mine = asked[graph.head_of[asked] == head]
        values = (graph.head_of == head) if head >= 0 else torch.zeros_like(hard)
        values[mine] = False
        share = float(hard[values].double().mean()) if bool(values.any()) else 1.0
        hard[mine[made[mine].argsort(descending=True, stable=True)[: math.ceil(share * len(mine))]]] = True


def _visits(
    stats: ContributionStats, layer: Layer, label: int, hard: Tensor, alpha: float, beta: float
) -> Iterator[Visit]:
    """Find the relevant inputs of one layer; a grouped layer works inside each group."""
    outputs, inputs = layer.outputs.chunk(layer.groups), layer.inputs.chunk(layer.groups)
    for group, (outs, ins) in enumerate(zip(outputs, inputs, strict=True)):
        relevant = hard[outs]
        if not bool(relevant.any()):
            continue
        s = stats.mean_rows(layer.name, label, group, relevant)
        soft_qp, hard_qp = aggregate(s, alpha)
        r, found = allocate(hard_qp, s.sum(0), beta)
        hard[ins[found]] = True
        yield Visit(layer, ins, outs[relevant], soft_qp, hard_qp, r, found)


def locate(
    graph: ChannelGraph,
    stats: ContributionStats,
    *,
    classes: Classes,
    thresholds: Thresholds | None = None,
    multiple: int = 1,
) -> ChannelSelection:
    """Select the channels of a component for some classes (label numbers): the union over the classes.

    `multiple` rounds the kept width of each group up. Raises UnknownClass, EmptySelection.
    """
    labels = asked_for(graph, classes)
    found = relevance(graph, stats, classes=labels, thresholds=thresholds)
    scores = found.soft.amax(0)
    return select(graph, found.hard.any(0), logits=labels, scores=scores, multiple=multiple)

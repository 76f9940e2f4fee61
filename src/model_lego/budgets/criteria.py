"""Criteria by which channels are scored for some classes: one table, one interface."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from model_lego.attribution.relevance import relevance
from model_lego.attribution.statistics import ContributionStats
from model_lego.attribution.thresholds import Thresholds
from model_lego.budgets.hrank import ranks
from model_lego.budgets.reconstruction import reconstruction
from model_lego.budgets.sensitivity import Sense
from model_lego.errors import BadConfig
from model_lego.graph import ChannelGraph, Layer


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a criterion may look at; `stats` only where its row in the table says that it needs them.

    `images` are those that `senses` are of, N x C x H x W.
    """

    model: nn.Module
    graph: ChannelGraph
    classes: tuple[int, ...]
    images: Tensor
    senses: Mapping[str, Sense]
    stats: ContributionStats | None = None
    thresholds: Thresholds | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Criterion:
    """One row: gives a score for each channel of the graph, the higher the more it is worth."""

    score: Callable[[Context], Tensor]
    needs_stats: bool = False


def _count(context: Context) -> Tensor:
    """The soft relevance of equation (7), the largest over readers and classes."""
    assert context.stats is not None
    given = relevance(context.graph, context.stats, classes=context.classes, thresholds=context.thresholds)
    return given.soft.amax(0)


def _contribution(context: Context) -> Tensor:
    """Shares of s+ in each output, weighted by the output's own and summed over readers, from the logits backwards."""
    stats = context.stats
    assert stats is not None
    scores = torch.zeros(context.graph.width, dtype=torch.float64)
    for label in context.classes:
        mine = torch.zeros_like(scores)
        mine[context.graph.head[label]] = 1
        for layer in reversed(context.graph.layers):
            if layer.name in stats.layers:
                s = stats.mean(layer.name, label)  # outputs x inputs/groups
                flow = mine[layer.outputs, None] * s / s.sum(1, keepdim=True).clamp(min=1e-30)
                share = flow.reshape(layer.groups, -1, s.shape[1]).sum(1).reshape(-1)
                mine.index_add_(0, layer.inputs, share / share.sum().clamp(min=1e-30))
        scores += mine
    return scores


def _energy(context: Context) -> Tensor:
    """Contributions times the mean squares of the channel's values, summed over its readers."""
    energy = torch.zeros(context.graph.width, dtype=torch.float64)
    for sense in context.senses.values():
        energy.index_add_(0, sense.channels, sense.energy)
    return _contribution(context) * energy


def _taylor(context: Context) -> Tensor:
    """Squared change of the logits, to first order, where a channel is zero; summed over its readers."""
    scores = torch.zeros(context.graph.width, dtype=torch.float64)
    for sense in context.senses.values():
        scores.index_add_(0, sense.channels, sense.change)
    return scores


def _random(context: Context) -> Tensor:
    generator = torch.Generator().manual_seed(context.seed)
    return torch.rand(context.graph.width, generator=generator, dtype=torch.float64)


@torch.no_grad()
def magnitudes(model: nn.Module, graph: ChannelGraph) -> Tensor:
    """L1 norm of all weights that write a channel, one number a channel of the graph."""
    scores = torch.zeros(graph.width, dtype=torch.float64)
    for layer, filters in _filters(model, graph):
        scores.index_add_(0, layer.outputs, filters.abs().sum(1))
    return scores


@torch.no_grad()
def distances(model: nn.Module, graph: ChannelGraph) -> Tensor:
    """Sum of a filter's Euclidean distances to all filters of its layer, over the layers that write the channel.

    One number a channel of the graph; the smallest is nearest to the layer's geometric median, and the others can stand
    for it (FPGM, He et al., CVPR 2019).
    """
    scores = torch.zeros(graph.width, dtype=torch.float64)
    for layer, filters in _filters(model, graph):
        scores.index_add_(0, layer.outputs, torch.cdist(filters, filters).sum(1))
    return scores


def _filters(model: nn.Module, graph: ChannelGraph) -> Iterator[tuple[Layer, Tensor]]:
    """Layers with their filters, outputs x weights in float64; a module that is called twice counts once."""
    for layer in {layer.weight: layer for layer in graph.layers}.values():
        weight = graph.program.tensor(model, layer.weight).detach().double().cpu()
        yield layer, layer.window.by_output(weight).flatten(0, 1).flatten(1)


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "reconstruction": Criterion(lambda context: reconstruction(context.graph, context.senses)),
        "count": Criterion(_count, needs_stats=True),
        "contribution": Criterion(_contribution, needs_stats=True),
        "energy": Criterion(_energy, needs_stats=True),
        "taylor": Criterion(_taylor),
        "magnitude": Criterion(lambda context: magnitudes(context.model, context.graph)),
        "fpgm": Criterion(lambda context: distances(context.model, context.graph)),
        "hrank": Criterion(lambda context: ranks(context.model, context.graph, context.images)),
        "random": Criterion(_random),
    }
)


def criterion(name: str) -> Criterion:
    """Find a criterion; raises BadConfig."""
    if name not in CRITERIA:
        raise BadConfig(f"criterion '{name}' is unknown; use one of {', '.join(CRITERIA)}")
    return CRITERIA[name]


def normalised(graph: ChannelGraph, scores: Tensor) -> Tensor:
    """Scores that add up to 1 in each group, so that one threshold can stand for all of them."""
    place = graph.group_of + 1  # the images are in no group
    total = torch.zeros(len(graph.groups) + 1, dtype=torch.float64).index_add_(0, place, scores)
    return scores / total[place].clamp(min=1e-30)

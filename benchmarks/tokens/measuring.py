"""Cut and mend networks of tokens in several ways at equal multiply-adds, and measure each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.compression.rivals import by_threshold
from benchmarks.networks import Network
from benchmarks.rivals.measuring import ALIKE, cut_of_network, sample, trials, within
from benchmarks.tokens import corp
from model_lego.budgets.criteria import magnitudes
from model_lego.budgets.removal_order import Shrinking
from model_lego.budgets.search import shrinking
from model_lego.cutting.cut import Cut
from model_lego.graph import ChannelSelection
from model_lego.graph.selection import cells_of
from model_lego.repairing.refitting import repair_cut

#: CORP cuts so many parts of a thousand of its channels, or one more.
PARTS = 1000
Mend = Callable[[Cut], object]


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way to choose channels, and to mend the network that has only these."""

    name: str
    kept: ChannelSelection
    mend: Mend


def measured(network: Network, sizes: tuple[float, ...], seed: int) -> Iterator[dict[str, Any]]:
    """A row for each way and size (share of the multiply-adds), with one sample of training images.

    Raises AssertionError where costs are not equal.
    """
    images = sample(network, seed)
    ours = shrinking(trials(network, images, seed), ml.Budget(macs=sizes[0]))
    heard = corp.heard(network.model, network.graph, images)
    for size in sizes:
        for way in (*_ways(network, ours, images, size, seed), _corp(network, heard, size * ours.whole.macs)):
            cut = cut_of_network(network, way.kept, images)
            way.mend(cut)
            yield {
                "method": way.name,
                "size": size,
                "seed": seed,
                "images": len(images),
                "accuracy": network.accuracy(cut.module),
            }


def _ways(network: Network, ours: Shrinking, images: Tensor, size: float, seed: int) -> Iterator[Way]:
    graph = network.graph

    def repaired(cut: Cut) -> object:
        return repair_cut(cut, images, ml.RepairSettings(seed=seed))

    def as_cut(cut: Cut) -> object:
        return cut

    strong = _equally(ours, magnitudes(network.model, graph))
    drawn = _equally(ours, torch.rand(graph.width, generator=torch.Generator().manual_seed(seed)))
    hidden = replace(ours, order=ours.order[corp.hidden_channels(graph)[ours.order]])
    yield Way("ours", within(ours, size), repaired)
    yield Way("ours, not repaired", within(ours, size), as_cut)
    yield Way("ours, of MLPs only", within(hidden, size), repaired)
    yield Way("magnitude", within(strong, size), as_cut)
    yield Way("magnitude, our repair", within(strong, size), repaired)
    yield Way("random, our repair", within(drawn, size), repaired)


def _equally(way: Shrinking, scores: Tensor) -> Shrinking:
    """The same share of each group, and of each head's channels, goes: the lowest scores. All heads stay."""
    graph = way.graph
    places = torch.zeros(graph.width, dtype=torch.float64)
    for cell in cells_of(graph):
        order = cell[scores[cell].argsort(stable=True)]
        places[order] = torch.arange(1, len(order) + 1, dtype=torch.float64) / len(order)
    found = by_threshold(way, places)
    return replace(found, order=found.order[~graph.is_attention_head[found.order]])


def _corp(network: Network, heard: corp.Heard, limit: float) -> Way:
    """CORP with the smallest share of its channels gone that is within so many multiply-adds."""
    model, graph = network.model, network.graph
    low, high = 0, PARTS - 1
    while low < high:
        middle = (low + high) // 2
        kept = corp.without(model, graph, heard, middle / PARTS, network.labels)
        low, high = (low, middle) if corp.cost(model, graph, heard, kept) <= limit else (middle + 1, high)
    selection, stays = corp.without(model, graph, heard, low / PARTS, network.labels)
    share = corp.cost(model, graph, heard, (selection, stays)) / limit
    assert 1 - ALIKE <= share <= 1, share
    return Way("CORP", selection, lambda cut: corp.mend(cut, heard, stays))

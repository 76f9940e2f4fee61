"""merge: statistics of several runs, or of several machines, put together."""

from dataclasses import replace

import torch
from torch import Tensor

from model_lego.attribution.statistics import ContributionStats, LayerStats
from model_lego.errors import BadConfig


def merge(first: ContributionStats, second: ContributionStats) -> ContributionStats:
    """Add up statistics that were taken from different samples of one network.

    The classes are those of both, in the order of their numbers; a class that both have gets the sums of both. Raises
    BadConfig for statistics of two networks, or that were sampled in two ways.
    """
    if first.source != second.source:
        raise BadConfig("these are statistics of two networks, whose contributions cannot be added up")
    if first.sampling != second.sampling:
        raise BadConfig(
            f"one half was taken from {first.sampling} samples, the other from {second.sampling} ones; take both alike"
        )
    classes = tuple(sorted({*first.classes, *second.classes}))
    counts = dict.fromkeys(classes, 0)
    for stats in (first, second):
        for label, count in zip(stats.classes, stats.counts, strict=True):
            counts[label] += count
    return ContributionStats(
        classes=classes,
        counts=tuple(counts.values()),
        layers={name: _added(first, second, name, classes) for name in first.layers},
        sampling=first.sampling,
        source=first.source,
        fallbacks=tuple(sorted({*first.fallbacks, *second.fallbacks})),
    )


def _added(first: ContributionStats, second: ContributionStats, name: str, classes: tuple[int, ...]) -> LayerStats:
    """The sums of one layer, a row for each of the classes."""
    one, two = first.layers[name], second.layers[name]
    rows = [torch.tensor([classes.index(label) for label in stats.classes]) for stats in (first, second)]

    def joined(left: Tensor | None, right: Tensor | None, dim: int) -> Tensor | None:
        if left is None or right is None:
            return None
        shape = list(left.shape)
        shape[dim] = len(classes)
        return left.new_zeros(shape).index_add_(dim, rows[0], left).index_add_(dim, rows[1], right)

    return replace(
        one,
        sums=joined(one.sums, two.sums, 1),
        positive=joined(one.positive, two.positive, 0),
        negative=joined(one.negative, two.negative, 0),
    )

"""merge: statistics of several runs, or of several machines, put together."""

from dataclasses import replace

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
    """The sums of one layer, of each of the classes."""

    def joined(kind: str) -> tuple[Tensor, ...] | None:
        each: dict[int, Tensor] = {}
        for stats in (first, second):
            for label, sums in zip(stats.classes, getattr(stats.layers[name], kind) or (), strict=False):
                each[label] = each[label] + sums if label in each else sums
        return tuple(each[label] for label in classes) if each else None

    return replace(first.layers[name], sums=joined("sums"), positive=joined("positive"), negative=joined("negative"))

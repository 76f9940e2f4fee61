"""Rows about what the published cut depends on: its thresholds, and the samples that the statistics are taken from."""

from typing import Any, Literal

from pydantic import Field

from model_lego.attribution import ContributionStats, Thresholds, attribute
from model_lego.data import batches
from model_lego.data.batching import prepared
from model_lego.data.sets import subset
from model_lego.evaluation.baselines import baselines
from model_lego.evaluation.evaluating import evaluate
from model_lego.tables import cuts
from model_lego.tables.bench import BATCH, Bench, Source
from model_lego.tables.cells import of, right, sized
from model_lego.tables.recipe import Column, Kind, PartRow


class Cutting(PartRow):
    """A cut by thresholds; those of linear layers are higher by a tenth, as published.

    `images`: of so many images of each class all are taken for the statistics, instead of the most confident ones.
    """

    alpha: float = Field(0.3, ge=0, le=0.9)
    beta: float = Field(0.2, ge=0, le=0.9)
    sampling: Literal["confident", "random", "all"] = "confident"
    images: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """Network, classes, and what is not as published."""
        said = (
            f"{name}={getattr(self, name)}"
            for name in ("alpha", "beta", "sampling")
            if name in self.__pydantic_fields_set__
        )
        counts = [f"images={'-'.join(map(str, self.images))}"] if self.images else []
        return "/".join([super().id, *said, *counts])


def measure(bench: Bench, row: Cutting, seed: int) -> dict[str, Any]:
    """Measure one row with one seed."""
    source = bench.source(row.source, seed)
    labels = source.task(row.classes)
    thresholds = Thresholds(row.alpha, row.beta, row.alpha + 0.1, row.beta + 0.1)
    how = {"thresholds": thresholds, "stats": _stats(source, labels, row, seed)}
    plain = cuts.published(source, labels, seed, **how)
    mended = cuts.published(source, labels, seed, repair="ridge", **how)
    report = evaluate(
        plain,
        source.test(labels, others=0, seed=seed),
        class_names=source.names,
        baselines=(
            *baselines(plain, source.model, kinds=("restricted",), graph=source.graph),
            cuts.entrant("repaired", mended),
        ),
    )
    return cuts.figures(report, plain.origin.cost_before)


def _stats(source: Source, labels: tuple[int, ...], row: Cutting, seed: int) -> ContributionStats:
    if not row.images:
        return source.stats(labels, seed, sampling=row.sampling)
    counts = dict(zip(labels, row.images, strict=True))
    every = range(len(source.names))
    some = subset(source.split.train, every, per_class=[counts.get(label, 1) for label in every], seed=seed)
    feed = prepared(batches(some, batch_size=BATCH), source.preprocessing)
    return attribute(source.model, feed, graph=source.graph, classes=labels, sampling="all", seed=seed)


KIND = Kind(
    row=Cutting,
    measure=measure,
    columns=(
        Column("source, restricted", right("restricted")),
        *sized("published cut", "component"),
        Column("% of multiply-adds", of("component", "macs")),
        Column("repaired", right("repaired")),
    ),
)

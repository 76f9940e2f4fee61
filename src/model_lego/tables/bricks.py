"""Rows about components of a single class: how well each tells its class, and what all of them are together."""

from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, Any

from pydantic import AfterValidator

from model_lego.assembly.assembling import assemble
from model_lego.budgets.budget import Budget
from model_lego.data import batches
from model_lego.data.sets import Batched, subset
from model_lego.evaluation.baselines import baselines
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.component import Component
from model_lego.tables import cuts
from model_lego.tables.bench import BATCH, TESTED, Bench, Source
from model_lego.tables.cells import of
from model_lego.tables.recipe import Column, Kind, PartRow
from model_lego.tables.recipe import task as numbers_of


class Bricks(PartRow):
    """Components of each single class of a trained network (all of its classes, or some).

    `calibration`: images a class for joining them again; `test`: test images a class, all by default.
    """

    budget: Annotated[Mapping[str, float], AfterValidator(cuts.limits)] = {"params": 0.1}
    calibration: int = 50
    test: int | None = None


def measure(bench: Bench, row: Bricks, seed: int) -> dict[str, Any]:
    """Measure one row with one seed."""
    source = bench.source(row.source, seed)
    labels = [source.task(str(number))[0] for number in numbers_of(row.classes)]
    made = {
        "published": [cuts.published(source, (label,), seed) for label in labels],
        "ours": [cuts.ours(source, (label,), seed, Budget(**row.budget)) for label in labels],
    }
    return {way: _alone(source, parts, row) | _together(source, parts, row, seed) for way, parts in made.items()}


def _alone(source: Source, parts: list[Component], row: Bricks) -> dict[str, float]:
    """Means over the classes: AUROC of a brick's logit and of the source's, other classes' images that it keeps out."""
    images = _tested(source, row)
    reports = [
        evaluate(
            part,
            images,
            class_names=source.names,
            baselines=baselines(part, source.model, kinds=("restricted",), graph=source.graph),
        )
        for part in parts
    ]
    told = [report.outsiders for report in reports if report.outsiders is not None]
    return {
        "auroc": 100 * fmean(report.rows[0].separation[0] for report in reports),
        "auroc of the source": 100 * fmean(report.row("restricted").separation[0] for report in reports),
        "kept out": 100 - fmean(each.fpr95 for each in told),
        "parameters": 100 * fmean(p.origin.cost_after.parameters / p.origin.cost_before.parameters for p in parts),
    }


def _together(source: Source, parts: list[Component], row: Bricks, seed: int) -> dict[str, float]:
    """Accuracy of all bricks joined, side by side and calibrated, and of the source over the same classes."""
    names = [name for part in parts for name in part.classes]
    numbers = [source.names.index(name) for name in names]
    calibration = batches(subset(source.split.train, numbers, per_class=row.calibration, seed=seed), batch_size=BATCH)
    joined = assemble(parts, calibration=calibration, seed=seed)
    plain = cuts.entrant("side by side", assemble(parts, head="concat"))
    whole = cuts.whole(source, tuple(numbers), seed)
    report = evaluate(
        joined,
        batches(subset(source.split.test, numbers, per_class=row.test), batch_size=TESTED),
        baselines=(plain, cuts.entrant("source", whole)),
    )
    return {name: report.row(name).accuracy for name in ("side by side", "source")} | {"calibrated": report.accuracy}


def _tested(source: Source, row: Bricks) -> Batched:
    every = range(len(source.names))
    return batches(subset(source.split.test, every, per_class=row.test), batch_size=TESTED)


KIND = Kind(
    row=Bricks,
    measure=measure,
    columns=(
        Column("AUROC, source", of("ours", "auroc of the source")),
        Column("published cut", of("published", "auroc")),
        Column("% of parameters", of("published", "parameters")),
        Column("ours", of("ours", "auroc")),
        Column("% of parameters", of("ours", "parameters")),
        Column("kept out, published", of("published", "kept out")),
        Column("kept out, ours", of("ours", "kept out")),
        Column("all joined: source", of("ours", "source")),
        Column("published, side by side", of("published", "side by side")),
        Column("ours, side by side", of("ours", "side by side")),
        Column("ours, calibrated", of("ours", "calibrated")),
    ),
)

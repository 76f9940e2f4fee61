"""Rows about one component: the published cut, ours, the uncut source and other cuts of the same size."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from model_lego.budgets.budget import Budget
from model_lego.evaluation.baselines import baselines
from model_lego.evaluation.evaluating import evaluate
from model_lego.tables import cuts
from model_lego.tables.bench import Bench
from model_lego.tables.cells import less, of, right, sized
from model_lego.tables.recipe import Column, Kind, PartRow


class Disassembling(PartRow):
    """The component for some classes (numbers of the data's) of a trained network, within a budget.

    `others`: test images of each other class, by which the AUROC is measured.
    """

    budget: Annotated[Mapping[str, float], AfterValidator(cuts.limits)] = {"params": 0.5}
    others: int = 100


def measure(bench: Bench, row: Disassembling, seed: int) -> dict[str, Any]:
    """Measure one row with one seed."""
    source = bench.source(row.source, seed)
    labels = source.task(row.classes)
    published = cuts.published(source, labels, seed)
    ours = cuts.ours(source, labels, seed, Budget(**row.budget))
    beside = {
        "published": published,
        "published + repair": cuts.published(source, labels, seed, repair="ridge"),
        "ours, as small": cuts.ours(source, labels, seed, cuts.as_large(published)),
    }
    against = baselines(ours, source.model, calibration=source.train, graph=source.graph, seed=seed)
    report = evaluate(
        ours,
        source.test(labels, others=row.others, seed=seed),
        class_names=source.names,
        baselines=(*against, *(cuts.entrant(name, part) for name, part in beside.items())),
    )
    return cuts.figures(report, ours.origin.cost_before)


KIND = Kind(
    row=Disassembling,
    measure=measure,
    columns=(
        Column("test images", lambda figures: int(figures["samples"]), digits=0),
        Column("source, all its classes", of("source", "accuracy")),
        Column("source, restricted", right("restricted")),
        *sized("published cut", "published"),
        Column("the same, repaired", right("published + repair")),
        Column("ours, no larger", right("ours, as small")),
        *sized("ours, half", "component"),
        Column("% of multiply-adds", of("component", "macs")),
        Column("points lost by ours, half", less(right("restricted"), right("component"))),
        Column("random cut, repaired", right("random + repair")),
        Column("largest weights, repaired", right("magnitude + repair")),
    ),
)

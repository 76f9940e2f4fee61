"""Rows about assemblies: the uncut sources side by side, the published procedure, tuned or not, and ours."""

from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, Any

from pydantic import AfterValidator

from model_lego.assembly.assembling import assemble
from model_lego.budgets.budget import Budget
from model_lego.data import DataSplit, batches
from model_lego.data.sets import Batched, subset
from model_lego.data.union import of_classes
from model_lego.evaluation.baselines import baselines, ensemble
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.tables import cuts
from model_lego.tables.bench import BATCH, TESTED, Bench, Source
from model_lego.tables.cells import of
from model_lego.tables.recipe import Column, Kind, Part, Row
from model_lego.training import TrainingSettings
from model_lego.training.classifier import train


class Assembling(Row):
    """An assembly of components of several networks, each within a budget.

    `calibration`: images a class for scaling and head; `epochs` of fine-tuning of the published assembly, none by
    default; `test`: test images a class, all by default.
    """

    parts: tuple[Part, ...]
    budget: Annotated[Mapping[str, float], AfterValidator(cuts.limits)] = {"params": 0.5}
    calibration: int = 50
    epochs: int = 0
    learning_rate: float = 0.01
    test: int | None = None

    @property
    def id(self) -> str:
        """The parts, and how many epochs of fine-tuning."""
        return "+".join(part.id for part in self.parts) + (f"/epochs={self.epochs}" if self.epochs else "")

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts' networks."""
        return tuple(dict.fromkeys(part.source for part in self.parts))


def measure(bench: Bench, row: Assembling, seed: int) -> dict[str, Any]:
    """Measure one row with one seed."""
    sources, tasks, data = opened(bench, row.parts, seed, test=row.test)
    calibration = some(data, row.calibration, seed)
    paired = list(zip(sources, tasks, strict=True))
    published = [cuts.published(source, labels, seed) for source, labels in paired]
    ours = [cuts.ours(source, labels, seed, Budget(**row.budget)) for source, labels in paired]
    whole = [cuts.whole(source, labels, seed) for source, labels in paired]
    as_published = assemble(published, calibration=calibration, scaling="logit", head="concat", seed=seed)
    calibrated = assemble(ours, calibration=calibration, seed=seed)
    beside = {
        "published": as_published,
        "ours": assemble(ours, head="concat"),
        "uncut, calibrated": assemble(whole, calibration=calibration, seed=seed),
    }
    if row.epochs:
        first = bench.materials.sources[row.parts[0].source].training
        settings = TrainingSettings(
            **{**first, "epochs": row.epochs, "learning_rate": row.learning_rate, "schedule": "cosine", "seed": seed}
        )
        beside["tuned"] = _tuned(published, data, calibration, settings)
    uncut = ensemble([(source.model, part) for source, part in zip(sources, ours, strict=True)])
    report = evaluate(
        calibrated,
        batches(data.test, batch_size=TESTED),
        baselines=(uncut, *(cuts.entrant(name, part) for name, part in beside.items())),
    )
    heads = {"ours": calibrated.head.kind, "uncut": beside["uncut, calibrated"].head.kind}
    return cuts.figures(report, uncut.cost) | {"base": _base(sources, ours, data), "heads": heads}


def opened(
    bench: Bench, parts: tuple[Part, ...], seed: int, *, test: int | None
) -> tuple[list[Source], list[tuple[int, ...]], DataSplit]:
    """The networks of some parts, the parts' label numbers in them, and the images of all parts' classes."""
    sources = [bench.source(part.source, seed) for part in parts]
    tasks = [source.task(part.classes) for source, part in zip(sources, parts, strict=True)]
    names = [source.names[label] for source, labels in zip(sources, tasks, strict=True) for label in labels]
    data = bench.joined([part.source for part in parts], names)
    if test is not None:
        data = DataSplit(data.train, subset(data.test, range(len(names)), per_class=test), data.class_names)
    return sources, tasks, data


def some(data: DataSplit, per_class: int, seed: int) -> Batched:
    """Training images of each class, drawn by the seed."""
    every = range(len(data.class_names))
    return batches(subset(data.train, every, per_class=per_class, seed=seed), batch_size=BATCH)


def _tuned(parts: list[Component], data: DataSplit, calibration: Batched, settings: TrainingSettings) -> Assembly:
    """The published assembly, one dense network, after some epochs on all training images of its classes."""
    made = assemble(parts, calibration=calibration, layout="padded", scaling="logit", head="concat", seed=settings.seed)
    train(made, data.train, settings)
    return made


def _base(sources: list[Source], parts: list[Component], data: DataSplit) -> float:
    """The paper's base: each source's own accuracy over all its classes, mean over the classes of all parts."""
    accuracies: list[float] = []
    for source, part in zip(sources, parts, strict=True):
        images = batches(of_classes(data, part.classes).test, batch_size=TESTED)
        report = evaluate(part, images, baselines=baselines(part, source.model, kinds=("source",), graph=source.graph))
        accuracies += report.row("source").per_class
    return fmean(accuracies)


KIND = Kind(
    row=Assembling,
    measure=measure,
    columns=(
        Column("test images", lambda figures: int(figures["samples"]), digits=0),
        Column("base, as the paper counts it", lambda figures: float(figures["base"])),
        Column("uncut, side by side", of("sources", "by class")),
        Column("uncut, calibrated", of("uncut, calibrated", "by class")),
        Column("published", of("published", "by class")),
        Column("% of parameters", of("published", "parameters")),
        Column("published, tuned", lambda figures: figures["tuned"]["by class"] if "tuned" in figures else None),
        Column("ours, side by side", of("ours", "by class")),
        Column("ours, calibrated", of("assembly", "by class")),
        Column("% of parameters", of("assembly", "parameters")),
        Column("head", lambda figures: str(figures["heads"]["ours"])),
    ),
)

"""Rows about one component: the published cut, ours, the uncut source and other cuts of the same size."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from pydantic import field_validator

from model_lego.attribution import Budget, attribute
from model_lego.component import Assembly, Component, Cost
from model_lego.contenders import Contender, baselines
from model_lego.disassembly import disassemble
from model_lego.evaluation import evaluate
from model_lego.refitting import prepared
from model_lego.results import Report
from model_lego.tables.bench import Bench
from model_lego.tables.recipe import Column, Figures, Kind, Row

#: Images of each other class, by which the AUROC is measured.
OTHERS = 100


class Disassembling(Row):
    """The component for some classes (numbers of the data's) of a trained network, within a budget."""

    source: str
    classes: str
    budget: Mapping[str, float] = {"params": 0.5}

    @field_validator("budget")
    @classmethod
    def _limits(cls, value: Mapping[str, float]) -> Mapping[str, float]:
        Budget(**value)
        return value

    @property
    def id(self) -> str:
        """Network and classes."""
        return f"{self.source}/{self.classes}"

    @property
    def needs(self) -> tuple[str, ...]:
        """The one network."""
        return (self.source,)


def measure(bench: Bench, row: Disassembling, seed: int) -> dict[str, Any]:
    """Measure one row with one seed."""
    source = bench.source(row.source, seed)
    labels = source.task(row.classes)
    common = source.common | {"classes": labels, "seed": seed}
    feed = prepared(source.train, source.preprocessing)
    stats = attribute(source.model, feed, graph=source.graph, classes=labels, seed=seed)
    published = disassemble(source.model, source.train, repair="none", stats=stats, **common)
    mended = disassemble(source.model, source.train, stats=stats, **common)
    ours = disassemble(source.model, source.train, budget=Budget(**row.budget), **common)
    against = baselines(ours, source.model, calibration=source.train, graph=source.graph, seed=seed)
    report = evaluate(
        ours, source.test(labels, others=OTHERS, seed=seed), class_names=source.names,
        baselines=(*against, entrant("published", published), entrant("published + repair", mended)),
    )  # fmt: skip
    return figures(report, ours.origin.cost_before)


def entrant(name: str, part: Component | Assembly) -> Contender:
    """A component or an assembly as a contender beside another one of the same classes."""
    inner = [part] if isinstance(part, Component) else part.networks()
    tensors = [*part.parameters(), *part.buffers()]
    cost = Cost(
        parameters=sum(tensor.numel() for tensor in part.parameters()),
        macs=sum(component.origin.cost_after.macs for component in inner),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )
    return Contender(name, part, tuple(range(len(part.classes))), True, cost)


def figures(report: Report, whole: Cost) -> dict[str, Any]:
    """What a report says of each network: % right, mean % right of the classes, size in % of the source, AUROC."""
    return {
        row.name: {
            "accuracy": row.accuracy,
            "by class": fmean(row.per_class),
            "interval": list(row.interval),
            "parameters": 100 * row.parameters / whole.parameters,
            "macs": 100 * row.macs / whole.macs,
        }
        | ({"auroc": 100 * fmean(row.separation)} if row.separation else {})
        for row in report.rows
    } | {"samples": sum(report.counts), "classes": len(report.classes)}


def right(name: str) -> Callable[[Figures], float]:
    """A cell: how often a network is right in %, for a single class the AUROC of its logit (times 100)."""
    return lambda found: float(found[name]["auroc" if found["classes"] == 1 else "accuracy"])


def of(name: str, what: str) -> Callable[[Figures], float]:
    """A cell: one figure of one network."""
    return lambda found: float(found[name][what])


def _lost(found: Figures) -> float:
    return right("restricted")(found) - right("component")(found)


def sized(title: str, name: str) -> Sequence[Column]:
    """Two columns: how often a network is right, and how large it is."""
    return (Column(title, right(name)), Column("% of parameters", of(name, "parameters")))


KIND = Kind(
    row=Disassembling,
    measure=measure,
    columns=(
        Column("source, all classes", of("source", "accuracy")),
        Column("source, restricted", right("restricted")),
        *sized("published cut", "published"),
        Column("the same, repaired", right("published + repair")),
        *sized("ours", "component"),
        Column("% of multiply-adds", of("component", "macs")),
        Column("lost", _lost),
        Column("random, repaired", right("random + repair")),
        Column("magnitude, repaired", right("magnitude + repair")),
    ),
)

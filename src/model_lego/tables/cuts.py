"""The ways in which the tables cut a network, and what is said of each in the results."""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch

from model_lego.budgets.budget import Budget
from model_lego.disassembly.disassembling import cut, disassemble, plan
from model_lego.evaluation.baselines import Contender
from model_lego.evaluation.costs import part_cost
from model_lego.evaluation.results import Report
from model_lego.graph import select
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.origin import Cost
from model_lego.tables.bench import Source


def published(source: Source, labels: tuple[int, ...], seed: int, **how: Any) -> Component:
    """The paper's cut: its thresholds and samples, no repair, unless something else is said."""
    given = {"repair": "none"} | how
    if "stats" not in given:
        given["stats"] = source.stats(labels, seed)
    return disassemble(source.model, source.train, classes=labels, seed=seed, **given, **source.common)


def ours(source: Source, labels: tuple[int, ...], seed: int, budget: Budget) -> Component:
    """The channels that a budget leaves, repaired."""
    return disassemble(source.model, source.train, classes=labels, seed=seed, budget=budget, **source.common)


def whole(source: Source, labels: tuple[int, ...], seed: int) -> Component:
    """Only the head is cut."""
    common = {key: value for key, value in source.common.items() if key != "builder"}
    stats = source.stats(labels, seed)
    planned = plan(source.model, source.train, classes=labels, seed=seed, stats=stats, **common)
    every = select(source.graph, torch.ones(source.graph.width, dtype=torch.bool), logits=labels)
    return cut(source.model, replace(planned, selection=every), preprocessing=source.preprocessing)


def as_large(component: Component) -> Budget:
    """The budget of what is no larger than a component."""
    cost = component.origin.cost_after
    return Budget(params=max(2, cost.parameters), macs=max(2, cost.macs))


def entrant(name: str, part: Component | Assembly) -> Contender:
    """A component or an assembly as a contender beside another one of the same classes."""
    return Contender(name, part, tuple(range(len(part.classes))), True, part_cost(part))


def figures(report: Report, uncut: Cost) -> dict[str, Any]:
    """What a report says of each network: % right, mean % right of the classes, size in % of what is uncut, AUROC."""
    return {
        row.name: {
            "accuracy": row.accuracy,
            "by class": fmean(row.per_class),
            "interval": list(row.interval),
            "parameters": 100 * row.parameters / uncut.parameters,
            "macs": 100 * row.macs / uncut.macs,
        }
        | ({"auroc": 100 * fmean(row.separation)} if row.separation else {})
        for row in report.rows
    } | {"samples": sum(report.counts), "classes": len(report.classes)}


def limits(budget: Mapping[str, float]) -> Mapping[str, float]:
    """Check a budget that a recipe writes; raises BadConfig."""
    Budget(**budget)
    return budget

"""Criteria at equal size, repaired and not, on held-out training images of trained networks; three seeds.

Networks of the zoo, and those that are kept with the results of the tables. No test image is looked at.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.accuracy import page
from benchmarks.accuracy.cases import CUT_FOR, NETWORKS
from benchmarks.accuracy.material import SEEDS
from benchmarks.common import record
from benchmarks.trained import ABSENT, opened
from model_lego.budgets.criteria import CRITERIA, Context, normalised
from model_lego.budgets.removal_order import Shrinking
from model_lego.budgets.search import SENSED, shrinking
from model_lego.budgets.sensitivity import sense
from model_lego.budgets.settings import CutSettings
from model_lego.budgets.trials import Trials, trials
from model_lego.data.batching import prepared
from model_lego.tables.bench import Source

#: Shares of the source's parameters.
SIZES = (0.03, 0.12)
#: What is measured of each criterion: with the widths that reconstruction gives all of them, repaired and not; and
#: repaired with widths by one threshold for its own scores.
HOW = ("repaired", "cut", "one threshold")


def main(only: Collection[str] = ()) -> None:
    """Run the benchmark, for these networks or all; says what is skipped, and why."""
    for name in only or NETWORKS:
        source = opened(NETWORKS[name], memory_format=torch.channels_last)
        if source is None:
            print(f"criteria: {name} skipped, {ABSENT}", flush=True)
            continue
        figures = _measured(source)
        print(name, figures, flush=True)
        record("criteria", {"tables": page.last("criteria") | {name: figures}, "seeds": list(SEEDS)}, show=False)
        page.write()


def _measured(source: Source) -> dict[str, Any]:
    model, classes = source.model, list(range(len(source.names)))[CUT_FOR]
    train = prepared(source.train, source.preprocessing)
    graph = ml.trace(model, next(iter(train))[0][:2])
    stats = ml.attribute(model, train, graph=graph, classes=classes)
    sizes: list[dict[str, Any]] = [{name: {how: [] for how in HOW} for name in CRITERIA} for _ in SIZES]
    costs: list[dict[str, list[float]]] = [{"parameters_percent": [], "macs_percent": []} for _ in SIZES]
    restricted = []
    for seed in SEEDS:
        tried = trials(model, graph, train, classes=classes, settings=CutSettings(seed=seed))
        restricted.append(tried.restricted())
        for place, name, how, accuracy in _accuracies(tried, stats, costs, seed):
            sizes[place][name][how].append(accuracy)
    return {
        "classes": list(source.names[CUT_FOR]),
        "of": len(source.names),
        "restricted": restricted,
        "held_out_images": len(tried.held),
        "sizes": [size | cost for size, cost in zip(sizes, costs, strict=True)],
    }


def _accuracies(
    tried: Trials, stats: ml.ContributionStats, costs: list[dict[str, list[float]]], seed: int
) -> Iterator[tuple[int, str, str, float]]:
    """Place of the size, criterion, what is measured, and what it reaches; notes what each size costs."""
    graph, model = tried.graph, tried.model
    way, images = shrinking(tried, ml.Budget(params=1.0, macs=1.0)), tried.images[:SENSED]
    senses = sense(model, graph, images, classes=tried.classes, seed=seed)
    context = Context(model, graph, tried.classes, images, senses, stats, None, seed)
    scores = {name: criterion.score(context) for name, criterion in CRITERIA.items()}
    whole = way.whole
    for place, size in enumerate(SIZES):
        gone = way.within_budget(ml.Budget(params=size))
        cost = way.cost(gone)
        costs[place]["parameters_percent"].append(100 * cost.parameters / whole.parameters)
        costs[place]["macs_percent"].append(100 * cost.macs / whole.macs)
        for name, score in scores.items():
            for how, accuracy in _reached(tried, way, gone, score, cost).items():
                yield place, name, how, accuracy


def _reached(tried: Trials, way: Shrinking, gone: int, scores: Tensor, cost: ml.Cost) -> dict[str, float]:
    selection = replace(way, within=scores).after(gone)
    order = normalised(tried.graph, scores).argsort(stable=True)
    alone = replace(way, order=order[tried.graph.cuttable[order]])
    limits = ml.Budget(params=cost.parameters, macs=cost.macs)
    unrepaired = replace(tried, settings=replace(tried.settings, repair="none"))
    return {
        "repaired": tried.accuracy(selection),
        "cut": unrepaired.accuracy(selection),
        "one threshold": tried.accuracy(alone.after(alone.within_budget(limits))),
    }


if __name__ == "__main__":
    main()

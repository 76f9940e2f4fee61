"""Criteria at equal size, repaired and not, on held-out training images of a trained network.

The half-width VGG-16 of the zoo by default. Another network is named by environment variables: MODEL_LEGO_NETWORK
(zoo:resnet50), MODEL_LEGO_ARGUMENTS (width=0.25), MODEL_LEGO_WEIGHTS (its file), and MODEL_LEGO_CLASSES (0-4; all of
CIFAR-10 by default). No test image is looked at.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

import model_lego as ml
from benchmarks.accuracy import page
from benchmarks.common import record, shared
from benchmarks.zoo_vgg import NAMES, NORMAL, SEED
from model_lego.attribution.criteria import CRITERIA, Context, normalised
from model_lego.attribution.sensing import sense
from model_lego.attribution.shrinking import Shrinking, removal_order
from model_lego.batches import Mapped
from model_lego.budgeting import SENSED, Trials, shrinking, trials
from model_lego.cli.sources import parse_arguments
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.sets import subset
from model_lego.models import build, load_weights
from model_lego.tables.recipe import task

CLASSES = ("bird", "cat", "deer")
SIZES = (0.03, 0.06, 0.12)
COUNTED = ("parameters", "macs")


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    data = shared("data/cifar10-15k.npz")
    if data is None:
        print("criteria: skipped, CIFAR-10 is not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    opened = _network(split)
    if opened is None:
        print("criteria: skipped, the trained network is not here (set MODEL_LEGO_SHARED or MODEL_LEGO_WEIGHTS)")
        return
    name, source, names = opened
    labels = [split.class_names.index(each) for each in names]
    train = Mapped(batches(subset(split.train, labels), batch_size=250), NORMAL)
    graph = ml.trace(source, next(iter(train))[0][:2])
    classes = [names.index(each) for each in CLASSES]
    settings = ml.RepairSettings(seed=SEED)
    tried = trials(source, graph, train, classes=classes, settings=settings, seed=SEED)
    stats = ml.attribute(source, train, graph=graph, classes=classes, seed=SEED)
    found = {"classes": list(CLASSES), "of": len(names), "restricted": tried.restricted()}
    found |= {"held_out_images": len(tried.held), "sizes": _sizes(tried, stats)}
    record("criteria", {"tables": page.last("criteria") | {name: found}, "seed": SEED})
    page.write()


def _network(split: DataSplit) -> tuple[str, nn.Module, tuple[str, ...]] | None:
    """Name, network and classes."""
    names: tuple[str, ...]
    if (name := os.environ.get("MODEL_LEGO_NETWORK")) is None:
        weights = shared("zoo/vgg16-half-cifar10-0to4.safetensors")
        name, arguments, names = "zoo:vgg16", {"width": 0.5}, NAMES
    else:
        weights = Path(os.environ.get("MODEL_LEGO_WEIGHTS", ""))
        arguments = parse_arguments(os.environ.get("MODEL_LEGO_ARGUMENTS", "").split(",") if weights.is_file() else ())
        names = tuple(split.class_names[number] for number in task(os.environ.get("MODEL_LEGO_CLASSES", "0-9")))
    if weights is None or not weights.is_file():
        return None
    return name, load_weights(build(name, num_classes=len(names), **arguments), weights).eval(), names


def _sizes(tried: Trials, stats: ml.ContributionStats) -> list[dict[str, Any]]:
    """For each size: what it costs, and what each criterion reaches.

    Widths are those of reconstruction for all criteria ("repaired", "cut"); beside it stands the same criterion with
    one threshold for its scores, normalised in each group ("one threshold"), which decides the widths as well.
    """
    graph, model = tried.graph, tried.model
    way = shrinking(tried, ml.Budget(params=1.0, macs=1.0), seed=SEED)
    images = tried.images[:SENSED]
    senses = sense(model, graph, images, classes=tried.classes, seed=SEED)
    context = Context(model, graph, tried.classes, images, senses, stats, None, SEED)
    rows = []
    for size in SIZES:
        gone = way.within_budget(ml.Budget(params=size))
        cost, whole = way.cost(gone), way.whole
        row: dict[str, Any] = {
            "parameters_percent": 100 * cost.parameters / whole.parameters,
            "macs_percent": 100 * cost.macs / whole.macs,
        }
        for name, criterion in CRITERIA.items():
            started = time.perf_counter()
            scores = criterion.score(context)
            seconds = time.perf_counter() - started
            row[name] = _reached(tried, replace(way, within=scores), gone, scores, cost) | {"score_seconds": seconds}
        rows.append(row)
    return rows


def _reached(tried: Trials, way: Shrinking, gone: int, scores: Any, cost: ml.Cost) -> dict[str, float]:
    selection = way.after(gone)
    own = normalised(tried.graph, scores)
    alone = replace(way, within=None, order=own.argsort(stable=True))
    alone = replace(alone, order=alone.order[tried.graph.cuttable[alone.order]])
    limits = ml.Budget(params=cost.parameters, macs=cost.macs)
    by_threshold = alone.after(alone.within_budget(limits))
    priced = removal_order(tried.model, tried.graph, own, COUNTED)
    by_price = replace(way, within=None, order=priced)
    return {
        "repaired": tried.accuracy(selection),
        "cut": replace(tried, settings=ml.RepairSettings(method="none")).accuracy(selection),
        "one threshold": tried.accuracy(by_threshold),
        "scores by price": tried.accuracy(by_price.after(by_price.within_budget(limits))),
    }


if __name__ == "__main__":
    main()

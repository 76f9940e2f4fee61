"""Components for one class each, put together again; how well each one's logit tells its class from the others."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right, run
from benchmarks.accuracy.joints import answers
from benchmarks.accuracy.material import NAMES, NORMAL, NOTHING, SEEDS, Material
from model_lego.measures import area
from model_lego.progress import quiet
from model_lego.refitting import CALIBRATION, refit_module, selection_of
from model_lego.surgery.verification import program_of

#: What ten components put together have to reach.
BAR = 77.0
WAYS = ("no calibration", "affine", "ridge", "lda", "blend", "auto")


def bricks(material: Material) -> dict[str, Any]:
    """Ten components of one class, put together in two ways, beside the uncut sources."""
    default = [components(material, seed) for seed in SEEDS]
    together = [united(material, parts, seed) for parts, seed in zip(default, SEEDS, strict=True)]
    return {
        "title": "ten components of one class each, put together",
        "blocks": [
            joined(material, "the ten components side by side", default, bar=BAR, separate=True),
            joined(material, "the same, united by source (the sources are needed again)", together, bar=BAR),
            uncut(material),
        ],
    }


def varied(material: Material) -> dict[str, Any]:
    """What decides how well the logit of such a component tells its class: images, channels, the repair."""
    seed = SEEDS[0]
    raw = components(material, seed, repair="none")
    others = [with_others(material, part, seed) for part in raw]
    chosen = [of_size(material, part, seed) for part in raw]
    return {
        "title": "what decides how well a component of one class tells it",
        "blocks": [
            joined(material, "repaired with images of all five classes of the source", [others], separate=True),
            joined(material, "as many weights, channels chosen by reconstruction", [chosen], bar=BAR, separate=True),
            joined(material, "not repaired", [raw], separate=True),
        ],
    }


def components(material: Material, seed: int, **options: Any) -> list[ml.Component]:
    """One of each class."""
    return [material.source_of(name).component([name], seed=seed, **options) for name in NAMES]


def with_others(material: Material, part: ml.Component, seed: int) -> ml.Component:
    """A component repaired with as many images as by default, but of all classes of its source."""
    source = material.source_of(part.classes[0])
    feed = material.calibration(source.names, seed=seed, per_class=CALIBRATION // len(source.names))
    images = NORMAL(torch.cat([some for some, _ in feed]))
    selection, module = selection_of(part, source.graph), deepcopy(part.module)
    program, _ = program_of(module, source.graph, selection, images[:2])
    settings = ml.RepairSettings(seed=seed)
    refit_module(module, program, source.model, source.graph, selection, images, settings, quiet)
    return ml.Component(
        module, classes=part.classes, labels=part.labels, origin=part.origin, preprocessing=part.preprocessing
    ).eval()


def of_size(material: Material, part: ml.Component, seed: int) -> ml.Component:
    """A component for the same class that is no larger, within a budget instead of by thresholds."""
    size = part.origin.cost_after
    limits = ml.Budget(params=size.parameters, macs=size.macs)
    return material.source_of(part.classes[0]).component(part.classes, seed=seed, budget=limits)


def uncut(material: Material) -> dict[str, Any]:
    """The logits of the uncut sources."""
    images, places = material.test
    logits = torch.cat([run(source.model, NORMAL(images)) for source in material.sources], 1)
    areas = separations(logits, places)
    size = cost(
        [source.component(source.names, seed=0, repair="none", thresholds=NOTHING) for source in material.sources]
    )
    return {
        "name": "the uncut sources",
        "rows": [figure("no calibration", [right(logits, places)], head=["concat"])],
        "auroc": {name: [areas[number]] for number, name in enumerate(NAMES)},
        **size,
    }


def joined(
    material: Material,
    name: str,
    each: Sequence[Sequence[ml.Component]],
    *,
    bar: float | None = None,
    separate: bool = False,
) -> dict[str, Any]:
    """Rows of all ways to join parts, which there are one set of a seed."""
    images, places = material.test
    rights: dict[str, list[Tensor]] = {way: [] for way in WAYS}
    kinds: dict[str, set[str]] = {way: set() for way in WAYS}
    areas = []
    for seed, parts in zip(SEEDS, each, strict=False):
        found = answers(parts, WAYS, material.calibration(NAMES, seed=seed), images, seed=seed)
        for way, (logits, head) in found.items():
            rights[way].append(right(logits, places))
            kinds[way].add(head)
        areas.append(separations(found["no calibration"][0], places))
    rows = [figure(way, rights[way], head=sorted(kinds[way]), bar=bar if way == "auto" else None) for way in WAYS]
    block = {"name": name, "rows": rows, **cost(each[0])}
    if separate:
        block["auroc"] = {name: [area[number] for area in areas] for number, name in enumerate(NAMES)}
    return block


def united(material: Material, parts: Sequence[ml.Component], seed: int) -> list[ml.Component]:
    """One component for the classes of each source, repaired again."""
    return [
        ml.unite(
            [part for part, name in zip(parts, NAMES, strict=True) if name in source.names],
            source.model, calibration=source.train, graph=source.graph, seed=seed,
        )
        for source in material.sources
    ]  # fmt: skip


def separations(logits: Tensor, places: Tensor) -> list[float]:
    """Area under the ROC curve of each class's logit against the images of the nine other classes."""
    return [area(logits[:, number], places == number) for number in range(len(NAMES))]

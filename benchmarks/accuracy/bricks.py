"""Ten components for one class each, put together again; how well each one's logit tells its class from the others."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch

import model_lego as ml
from benchmarks.accuracy.joining import PUBLISHED, WAYS, View, block
from benchmarks.accuracy.material import SEEDS, Material
from benchmarks.trained import NAMES, NORMAL
from model_lego.cutting.slicing import selection_of
from model_lego.cutting.verification import cut_of
from model_lego.repairing.refitting import CALIBRATION, repair_cut

#: What ten components put together have to reach.
BAR = 77.0
UNITED = "ten components of one class each, united by source (the sources are needed again)"
#: Of the test images, one of so many shows what decides how well such a component tells its class.
STEP = 4
#: The name of the table of what else decides it.
VARIED = "bricks varied"
HEADS = tuple(way for way in WAYS if way != PUBLISHED)


def bricks(material: Material) -> dict[str, Any]:
    """Ten components of one class, side by side; and what the repair has to do with it."""
    default = [components(material, seed) for seed in SEEDS]
    raw = [components(material, SEEDS[0], repair="none")] * len(SEEDS)  # no seed has a part in it
    return {
        "title": "ten components of one class each, side by side",
        "blocks": [
            _joined(material, "the ten components", default),
            _joined(material, f"not repaired (on one of {STEP} test images)", raw, bar=None, step=STEP),
        ],
    }


def varied(material: Material) -> dict[str, Any]:
    """What else decides how well the logit of such a component tells its class: images, channels."""
    raw = components(material, SEEDS[0], repair="none")
    others = [[with_others(material, part, seed) for part in raw] for seed in SEEDS]
    chosen = [[of_size(material, part, seed) for part in raw] for seed in SEEDS]
    return {
        "title": "what else decides how well a component of one class tells it",
        "note": f'On one of {STEP} test images. `python -m benchmarks.accuracy "{VARIED}"` measures it.',
        "blocks": [
            _joined(material, "repaired with images of all five classes of the source", others, bar=None, step=STEP),
            _joined(material, "as many weights, channels chosen by reconstruction", chosen, step=STEP),
        ],
    }


def united(material: Material) -> list[list[ml.Component]]:
    """One component for the classes of each source from those for one class each, repaired again; for each seed."""
    parts = components(material, SEEDS[0], repair="none")  # the repair does not change which channels there are
    return [
        [
            ml.unite(
                [part for part in parts if part.classes[0] in source.names],
                source.model,
                calibration=source.train,
                graph=source.graph,
                seed=seed,
            )
            for source in material.sources
        ]
        for seed in SEEDS
    ]


def components(material: Material, seed: int, **options: Any) -> list[ml.Component]:
    """One of each class."""
    return [material.source_of(name).component([name], seed=seed, **options) for name in NAMES]


def with_others(material: Material, part: ml.Component, seed: int) -> ml.Component:
    """A component repaired with as many images as by default, but of all classes of its source."""
    source = material.source_of(part.classes[0])
    feed = material.calibration(source.names, seed=seed, per_class=CALIBRATION // len(source.names))
    images = NORMAL(torch.cat([some for some, _ in feed]))
    selection, module = selection_of(part, source.graph), deepcopy(part.module)
    made = cut_of(module, source.model, source.graph, selection, images[:2])
    repair_cut(made, images, ml.RepairSettings(seed=seed))
    return ml.Component(
        module, classes=part.classes, labels=part.labels, origin=part.origin, preprocessing=part.preprocessing
    ).eval()


def of_size(material: Material, part: ml.Component, seed: int) -> ml.Component:
    """A component for the same class that is no larger, within a budget instead of by thresholds."""
    size = part.origin.cost_after
    limits = ml.Budget(params=size.parameters, macs=size.macs)
    return material.source_of(part.classes[0]).component(part.classes, seed=seed, budget=limits)


def _joined(
    material: Material, name: str, each: Sequence[Sequence[ml.Component]], *, bar: float | None = BAR, step: int = 1
) -> dict[str, Any]:
    bars = None if bar is None else {"auto": bar}
    return block(material, name, each, ways=HEADS, bars=bars, separate=True, view=View(step=step))

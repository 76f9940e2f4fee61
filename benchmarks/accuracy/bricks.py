"""Components for one class each, put together again; how well each one's logit tells its class from the others."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right
from benchmarks.accuracy.joints import answers
from benchmarks.accuracy.material import BATCH, NAMES, SEEDS, Material
from model_lego.measures import area

WAYS = ("no calibration", "affine", "ridge", "lda", "auto")


def bricks(material: Material) -> dict[str, Any]:
    """Ten components of one class: side by side, and united by source; and what they are repaired with."""
    default = [components(material, seed) for seed in SEEDS]
    raw = [components(material, SEEDS[0], repair="none")]
    alone = [[own_images(material, part, SEEDS[0]) for part in raw[0]]]
    together = [united(material, parts, seed) for parts, seed in zip(default, SEEDS, strict=True)]
    return {
        "title": "ten components of one class each, put together",
        "blocks": [
            joined(material, "the ten components side by side", default, bar=77.0, separate=True),
            joined(material, "the same, united by source (the sources are needed again)", together),
            joined(material, "side by side, repaired with images of their one class", alone, separate=True),
            joined(material, "side by side, not repaired", raw, separate=True),
        ],
    }


def components(material: Material, seed: int, **options: Any) -> list[ml.Component]:
    """One of each class."""
    return [material.source_of(name).component([name], seed=seed, **options) for name in NAMES]


def own_images(material: Material, part: ml.Component, seed: int) -> ml.Component:
    """A component of one class, repaired with 1,000 images of this class alone."""
    source = material.source_of(part.classes[0])
    images, label = material.of_one(part.classes[0], seed=seed), part.labels[0]
    feed = [(some, torch.full((len(some),), label)) for some in images.split(BATCH)]
    return ml.repair(part, source.model, feed, graph=source.graph)


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

"""Components for one class each, put together again; how well each one's logit tells its class from the others."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right
from benchmarks.accuracy.joints import answers
from benchmarks.accuracy.material import NAMES, SEEDS, Material
from model_lego.measures import area

WAYS = ("no calibration", "affine", "ridge", "lda", "auto")


def bricks(material: Material) -> dict[str, Any]:
    """Ten components of one class: side by side, and united by source."""
    images, places = material.test
    rights: dict[str, dict[str, list[Tensor]]] = {"side by side": {}, "united": {}}
    heads: dict[str, dict[str, list[str]]] = {"side by side": {}, "united": {}}
    areas: list[list[float]] = []
    sizes: dict[str, list[dict[str, float]]] = {"side by side": [], "united": []}
    for seed in SEEDS:
        parts = [material.source_of(name).component([name], seed=seed) for name in NAMES]
        calibration = material.calibration(NAMES, seed=seed)
        for kind, joined in (("side by side", parts), ("united", united(material, parts, seed))):
            sizes[kind].append(cost(joined))
            found = answers(joined, WAYS, calibration, images, seed=seed)
            for way, (logits, head) in found.items():
                rights[kind].setdefault(way, []).append(right(logits, places))
                heads[kind].setdefault(way, []).append(head)
            if kind == "side by side":
                areas.append(separations(found["no calibration"][0], places))
    return {
        "title": "ten components of one class each, put together",
        "blocks": [
            {
                "name": {"side by side": "the ten components side by side", "united": "united by source"}[kind],
                "rows": [
                    figure(way, rights[kind][way], head=sorted(set(heads[kind][way])), bar=bar(kind, way))
                    for way in WAYS
                ],
                **sizes[kind][0],
            }
            for kind in rights
        ],
        "auroc": {name: [each[number] for each in areas] for number, name in enumerate(NAMES)},
    }


def bar(kind: str, way: str) -> float | None:
    """What was set as an aim."""
    return 77.0 if way == "auto" else None


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

"""Assemblies of components of two sources beside the uncut sources, with every head."""

from collections.abc import Sequence
from typing import Any

import model_lego as ml
from benchmarks.accuracy import bricks
from benchmarks.accuracy.joining import Known, View, block
from benchmarks.accuracy.material import NOTHING, SEEDS, Material
from benchmarks.trained import NAMES

AS_CUT = {"repair": "none"}
UNCUT = {"repair": "none", "thresholds": NOTHING}


def all_classes(material: Material) -> dict[str, Any]:
    """Five and five classes at the default thresholds, with the repair, without it, and the uncut sources."""
    classes = (NAMES[:5], NAMES[5:])
    bars = {"no calibration": 74.8, "auto": 77.8}
    known: Known = {}  # networks united from components of one class are bit for bit those cut for all classes
    return {
        "title": "five + five classes, default thresholds",
        "size_bar": {"parameters_percent": 46.5},
        "blocks": [
            block(material, "components", cut(material, classes), bars=bars, known=known),
            block(material, bricks.UNITED, bricks.united(material), bars={"auto": bricks.BAR}, known=known),
            block(material, "components, as the paper cuts them (no repair)", unrepaired(material, classes, AS_CUT)),
            block(material, "uncut sources", unrepaired(material, classes, UNCUT), separate=True),
        ],
    }


def vehicles(material: Material) -> dict[str, Any]:
    """Two and three classes that are not all there are."""
    return _pair(material, (("airplane", "automobile"), ("horse", "ship", "truck")), 2_700_000, 87.5)


def animals(material: Material) -> dict[str, Any]:
    """The same with classes that are harder to tell."""
    return _pair(material, (("bird", "cat", "deer"), ("dog", "frog")), 860_000, 75.0)


def cut(
    material: Material, classes: Sequence[Sequence[str]], seeds: Sequence[int] = SEEDS, **options: Any
) -> list[list[ml.Component]]:
    """The components for each of the sets of classes, for each seed."""
    return [
        [material.source_of(names[0]).component(names, seed=seed, **options) for names in classes] for seed in seeds
    ]


def unrepaired(
    material: Material, classes: Sequence[Sequence[str]], options: dict[str, Any]
) -> list[list[ml.Component]]:
    """The same without repair: one set for all seeds, which draw the calibration images of the heads alone."""
    return cut(material, classes, SEEDS[:1], **options) * len(SEEDS)


def _pair(material: Material, classes: Sequence[Sequence[str]], parameters: int, bar: float) -> dict[str, Any]:
    joined = [each for names in classes for each in names]
    uncut, ways = unrepaired(material, classes, UNCUT), ("no calibration", "auto")
    return {
        "title": " + ".join("{" + ", ".join(names) + "}" for names in classes) + ", default thresholds",
        "size_bar": {"parameters": parameters},
        "blocks": [
            block(material, "components", cut(material, classes), view=View(joined), bars={"auto": bar}),
            block(material, "uncut sources", uncut, view=View(joined), ways=ways),
        ],
    }

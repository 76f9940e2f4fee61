"""Three classes on a budget, and accuracy against size."""

from typing import Any

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right, run
from benchmarks.accuracy.material import SEEDS, Material
from benchmarks.trained import NORMAL

CLASSES = ("bird", "cat", "deer")
BUDGET = ml.Budget(params=0.06, macs=0.3)
#: Shares of the parameters along the curve, up to where nothing is lost.
SIZES = (0.01, 0.02, 0.04, 0.06, 0.1, 0.2)


def budget(material: Material) -> dict[str, Any]:
    """The component beside its source, and the curve."""
    source = material.source_of(CLASSES[0])
    images, places = material.test_of(CLASSES)
    columns = [source.names.index(name) for name in CLASSES]
    uncut = right(run(source.model, NORMAL(images))[:, columns], places)
    parts = [source.component(CLASSES, seed=seed, budget=BUDGET) for seed in SEEDS]
    rights = [right(run(part, images), places) for part in parts]
    curves = [
        ml.curve(
            source.model,
            source.train,
            classes=CLASSES,
            class_names=source.names,
            preprocessing=NORMAL,
            graph=source.graph,
            stats=source.stats,
            sizes=SIZES,
            seed=seed,
        )
        for seed in SEEDS
    ]
    restricted = figure("source, restricted to the three classes", [uncut])
    row = figure("component", rights, bar=restricted["mean"] - 1)
    return {
        "title": "bird, cat, deer within 6 % of the parameters and 30 % of the multiply-adds",
        "blocks": [{"name": "component", "rows": [restricted, row], **cost(parts[:1])}],
        "curves": [each.to_dict() for each in curves],
    }

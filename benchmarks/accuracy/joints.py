"""Assemblies of components of two sources beside the uncut sources, with every head."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right, run
from benchmarks.accuracy.material import A_CLASS, NAMES, NOTHING, SEEDS, Material

#: Ways to join: name, arguments of `assemble`.
WAYS: dict[str, dict[str, Any]] = {
    "no calibration": {},
    "concat": {"head": "concat"},
    "logit scaling, as published": {"head": "concat", "scaling": "logit"},
    "affine": {"head": "affine"},
    "ridge": {"head": "ridge"},
    "lda": {"head": "lda"},
    "auto": {"head": "auto"},
}
AS_CUT = {"repair": "none"}
UNCUT = {"repair": "none", "thresholds": NOTHING}


def all_classes(material: Material) -> dict[str, Any]:
    """Five and five classes at the default thresholds, with the repair, without it, and the uncut sources."""
    classes = (NAMES[:5], NAMES[5:])
    bars = {"no calibration": 74.8, "auto": 77.8}
    return {
        "title": "five + five classes, default thresholds",
        "size_bar": {"parameters_percent": 46.5},
        "blocks": [
            block(material, classes, "components", bars=bars),
            block(material, classes, "components, as the paper cuts them (no repair)", options=AS_CUT, seeds=SEEDS[:1]),
            block(material, classes, "uncut sources", options=UNCUT, seeds=SEEDS[:1]),
        ],
    }


def vehicles(material: Material) -> dict[str, Any]:
    """Two and three classes that are not all there are."""
    return _pair(material, (("airplane", "automobile"), ("horse", "ship", "truck")), 2_700_000, 87.5)


def animals(material: Material) -> dict[str, Any]:
    """The same with classes that are harder to tell."""
    return _pair(material, (("bird", "cat", "deer"), ("dog", "frog")), 860_000, 75.0)


def _pair(material: Material, classes: Sequence[Sequence[str]], parameters: int, bar: float) -> dict[str, Any]:
    return {
        "title": " + ".join("{" + ", ".join(names) + "}" for names in classes) + ", default thresholds",
        "size_bar": {"parameters": parameters},
        "blocks": [
            block(material, classes, "components", bars={"auto": bar}),
            block(material, classes, "uncut sources", options=UNCUT, seeds=SEEDS[:1], ways=("no calibration", "auto")),
        ],
    }


def block(
    material: Material,
    classes: Sequence[Sequence[str]],
    name: str,
    *,
    options: dict[str, Any] | None = None,
    bars: dict[str, float] | None = None,
    seeds: Sequence[int] = SEEDS,
    ways: Sequence[str] = tuple(WAYS),
) -> dict[str, Any]:
    """Rows of all ways to join the components for some classes, over seeds of both calibration samples."""
    joined = [each for names in classes for each in names]
    images, places = material.test_of(joined)
    rights: dict[str, list[Tensor]] = {way: [] for way in ways}
    kinds: dict[str, list[str]] = {way: [] for way in ways}
    size: list[dict[str, float]] = []
    for seed in seeds:
        parts = [material.source_of(names[0]).component(names, seed=seed, **(options or {})) for names in classes]
        size.append(cost(parts))
        calibration = material.calibration(joined, seed=seed)
        for way, logits in answers(parts, ways, calibration, images, seed=seed).items():
            rights[way].append(right(logits[0], places))
            kinds[way].append(logits[1])
    rows = [figure(way, rights[way], head=sorted(set(kinds[way])), bar=(bars or {}).get(way)) for way in ways]
    return {"name": name, "rows": rows, "calibration_a_class": A_CLASS, **size[0]}


def answers(
    parts: Sequence[ml.Component], ways: Sequence[str], calibration: Any, images: Tensor, *, seed: int
) -> dict[str, tuple[Tensor, str]]:
    """Logits for images, and the kind of head, of each way to join parts; the parts run once."""
    made = {
        way: ml.assemble(parts, calibration=None if way == "no calibration" else calibration, seed=seed, **WAYS[way])
        for way in ways
    }
    reads = next((each.head.reads for each in made.values() if each.head.reads), None)
    some = next(iter(made.values()))
    joined = run(some.joined, images) if reads is None else run(lambda x: some.features(x, reads), images)
    features, logits = (None, joined) if reads is None else joined
    return {way: (each.head(features if each.head.reads else logits), each.head.kind) for way, each in made.items()}

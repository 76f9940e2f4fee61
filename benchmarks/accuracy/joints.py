"""Assemblies of components of two sources beside the uncut sources, with every head."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right, run
from benchmarks.accuracy.material import A_CLASS, NAMES, NOTHING, SEEDS, Material
from model_lego.batches import Batches
from model_lego.component import Head
from model_lego.surgery.choosing import FOLDS, folds_of, preferred
from model_lego.surgery.heads import FAVOURITES, LEAST, ON_FEATURES, Plain, calibrated, cross_validated

#: Ways to join components: as they are, the published scaling of logits, each head, and what is chosen.
WAYS = ("no calibration", "logit scaling, as published", "affine", "ridge", "lda", "blend", "auto")
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
    ways: Sequence[str] = WAYS,
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
    parts: Sequence[ml.Component], ways: Sequence[str], calibration: Batches, images: Tensor, *, seed: int
) -> dict[str, tuple[Tensor, str]]:
    """Logits for images, and the kind of head, of each way to join parts; the parts run once.

    Heads are fitted as `assemble` fits them, from one pass over the calibration images and one cross-validation.
    """
    assembly = ml.assemble(parts, seed=seed)
    seen, labels = (torch.cat(column) for column in zip(*calibration, strict=True))
    found = calibrated(assembly, seen, labels, ON_FEATURES)
    features, logits = run(lambda some: assembly.features(some, found.reads), images)
    heads = {"no calibration": Head.identity(logits.shape[1])}
    if "logit scaling, as published" in ways:
        scaled = ml.assemble(parts, calibration=calibration, seed=seed, head="concat", scaling="logit")
        heads["logit scaling, as published"] = scaled.head
    fold = folds_of(labels, count=min(FOLDS, int(torch.bincount(labels).min())), seed=seed)
    contest = cross_validated(found, Plain(), tuple(LEAST), fold)
    for kind in contest.judged:
        fit = contest.fit(kind)
        heads[kind] = Head(kind, fit.weight, fit.shift, reads=found.reads if kind in ON_FEATURES else ()).to(logits)
    heads["auto"] = heads[preferred(contest.judged, FAVOURITES)]
    return {way: (heads[way](features if heads[way].reads else logits), heads[way].kind) for way in ways}

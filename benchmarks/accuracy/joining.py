"""Every way to join parts, measured on the test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.accuracy.figures import cost, figure, right, run
from benchmarks.accuracy.material import A_CLASS, SEEDS, Material
from benchmarks.trained import NAMES
from model_lego.data.batching import Batches
from model_lego.digest import digest_of
from model_lego.heads.choosing import FAVOURITES, LEAST, ON_FEATURES, Plain, calibrated, cross_validated
from model_lego.heads.cross_validation import preferred
from model_lego.heads.features import parts_layers
from model_lego.parts.assembly import Head, leaves
from model_lego.verdicts.metrics import area

PUBLISHED = "logit scaling, as published"
#: As they are, the published scaling of logits, each head, and what is chosen.
WAYS = ("no calibration", PUBLISHED, "affine", "ridge", "lda", "blend", "auto")
#: Logits and the kind of head of each way.
Answers: TypeAlias = dict[str, tuple[Tensor, str]]
#: What parts that ran before gave for the images, features and logits, by their digests.
Known: TypeAlias = dict[tuple[str, ...], tuple[Tensor, Tensor]]
#: The layers that make the logits, found once for all networks whose parameters have the same names.
_LAYERS: dict[tuple[str, ...], tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class View:
    """What is measured on: of the test images of some classes, one of `step`."""

    classes: Sequence[str] = NAMES
    step: int = 1


EVERYTHING = View()


def block(
    material: Material,
    name: str,
    each: Sequence[Sequence[ml.Component]],
    *,
    view: View = EVERYTHING,
    ways: Sequence[str] = WAYS,
    bars: dict[str, float] | None = None,
    separate: bool = False,
    known: Known | None = None,
) -> dict[str, Any]:
    """Rows of all ways to join parts for some classes, of which there is one set a seed of the calibration sample.

    `separate` adds how well each logit tells its class from the others. `known` is of the same view.
    """
    images, places = (some[:: view.step] for some in material.test_of(view.classes))
    memory: Known = {} if known is None else known
    found = [
        answers(parts, ways, material.calibration(view.classes, seed=seed), images, seed=seed, known=memory)
        for seed, parts in zip(SEEDS, each, strict=False)
    ]
    rows = []
    for way in ways:
        rights = [right(one[way][0], places) for one in found]
        heads = sorted({one[way][1] for one in found})
        rows.append(figure(way, rights, head=heads, bar=(bars or {}).get(way)))
    table = {"name": name, "rows": rows, "calibration_a_class": A_CLASS, **cost(each[0])}
    if separate:
        areas = [separations(one["no calibration"][0], places) for one in found]
        table["auroc"] = {name: [area[number] for area in areas] for number, name in enumerate(view.classes)}
    return table


def answers(
    parts: Sequence[ml.Component],
    ways: Sequence[str],
    calibration: Batches,
    images: Tensor,
    *,
    seed: int,
    known: Known,
) -> Answers:
    """Logits for images, and the kind of head, of each way to join parts; parts that are in `known` do not run again.

    Heads are fitted as `assemble` fits them, from one pass over the calibration images and one cross-validation.
    """
    assembly = ml.assemble(parts, seed=seed)
    seen, labels = (torch.cat(column) for column in zip(*calibration, strict=True))
    reads = [_layers(part, seen) for part in leaves(assembly)]
    found = calibrated(assembly.networks(), seen, labels, ON_FEATURES, classes=assembly.classes, reads=reads)
    key = tuple(digest_of(part) for part in parts)
    if key not in known:
        known[key] = run(lambda some: assembly.features(some, found.reads), images)
    features, logits = known[key]
    heads = {"no calibration": Head.identity(logits.shape[1])}
    if PUBLISHED in ways:
        scaled = ml.assemble(parts, calibration=calibration, seed=seed, head="concat", scaling="logit")
        heads[PUBLISHED] = scaled.head
    contest = cross_validated(found, Plain(), tuple(LEAST), seed=seed)
    for kind in contest.judged:
        fit = contest.fit(kind)
        heads[kind] = Head(kind, fit.weight, fit.shift, reads=found.reads if kind in ON_FEATURES else ()).to(logits)
    heads["auto"] = heads[preferred(contest.judged, FAVOURITES)]
    return {way: (heads[way](features if heads[way].reads else logits), heads[way].kind) for way in ways}


def _layers(part: ml.Component, images: Tensor) -> tuple[str, ...]:
    key = tuple(part.module.state_dict())
    if key not in _LAYERS:
        (_LAYERS[key],) = parts_layers([part], images)
    return _LAYERS[key]


def separations(logits: Tensor, places: Tensor) -> list[float]:
    """Area under the ROC curve of each class's logit against the images of the other classes."""
    return [area(logits[:, number], places == number) for number in range(logits.shape[1])]

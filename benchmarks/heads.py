"""Kinds of head, and what `auto` takes, on held-out training images: samples of 5 to 50 calibration images a class.

The two half-width VGG-16 of the zoo. No test image is looked at: the rule of `auto` is chosen by these figures.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from benchmarks.accuracy import page
from benchmarks.accuracy.material import Material, is_here, opened
from benchmarks.common import record
from benchmarks.trained import ABSENT, NAMES
from model_lego.heads.choosing import FAVOURITES, LEAST, ON_FEATURES, Calibrated, Plain, calibrated, cross_validated
from model_lego.heads.cross_validation import preferred
from model_lego.heads.linear import Fit

#: Calibration images of each class, and how many samples of them are drawn.
COUNTS, SAMPLES = (5, 10, 20, 50), 8
#: Training images of each class that samples are drawn from; the rest of them is measured on.
POOL = 700
PAIRS = {
    "5 + 5 classes": (NAMES[:5], NAMES[5:]),
    "vehicles": (("airplane", "automobile"), ("horse", "ship", "truck")),
    "animals": (("bird", "cat", "deer"), ("dog", "frog")),
    "ten components of one class": tuple((name,) for name in NAMES),
}


def main() -> None:
    """Run the benchmark; says what is skipped, and why."""
    if not is_here():
        print(f"heads: skipped, {ABSENT}")
        return
    with TemporaryDirectory() as folder:
        material = opened(Path(folder))
    found: dict[str, Any] = {}
    for name, classes in PAIRS.items():
        pool = pooled(material, classes)
        found[name] = {str(count): rows(pool, count) for count in COUNTS}
        print(name, found[name], flush=True)
        record("heads", {"tables": found, "samples": SAMPLES, "pool_a_class": POOL}, show=False)
        page.write()


def pooled(material: Material, classes: Sequence[Sequence[str]]) -> Calibrated:
    """What heads read of training images, of components at the default thresholds."""
    parts = [material.source_of(names[0]).component(names, seed=0) for names in classes]
    joined = [name for names in classes for name in names]
    images, labels = zip(*material.calibration(joined, seed=77, per_class=POOL), strict=True)
    return calibrated(parts, torch.cat(images), torch.cat(labels), tuple(LEAST), classes=joined)


def rows(pool: Calibrated, count: int) -> dict[str, dict[str, Any]]:
    """Mean and least accuracy in % of each kind over the samples, on all images that are not in the sample."""
    found: dict[str, list[float]] = {}
    taken = []
    for seed in range(SAMPLES):
        inside = sample(pool.labels, count, seed)
        given, rest = narrowed(pool, inside), narrowed(pool, ~inside)
        contest = cross_validated(given, Plain(), tuple(LEAST), seed=seed)
        for name in contest.judged:
            found.setdefault(name, []).append(right(contest.fit(name), name, rest))
        taken.append(preferred(contest.judged, FAVOURITES))
        found.setdefault("auto", []).append(found[taken[-1]][-1])
    figures: dict[str, dict[str, Any]] = {
        name: {"mean": sum(each) / len(each), "least": min(each), "images": len(rest.labels)}
        for name, each in found.items()
    }
    figures["auto"]["kinds"] = sorted(set(taken))
    return figures


def right(fit: Fit, name: str, rest: Calibrated) -> float:
    """Accuracy in % of a head."""
    inputs = rest.features if name in ON_FEATURES else rest.joined
    assert inputs is not None
    return 100 * float((fit(inputs).argmax(1) == rest.labels).double().mean())


def sample(labels: Tensor, count: int, seed: int) -> Tensor:
    """Which images are in a sample of so many of each class."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    inside = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        inside[order[labels[order] == label][:count]] = True
    return inside


def narrowed(pool: Calibrated, inside: Tensor) -> Calibrated:
    """Some of the images."""
    features = None if pool.features is None else pool.features[inside]
    return replace(pool, joined=pool.joined[inside], features=features, labels=pool.labels[inside])

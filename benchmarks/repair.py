"""Repair at the default cuts of several networks, on held-out training images: methods, images, options.

Networks of the zoo, and those that are kept with the results of the tables. No test image is looked at.
"""

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks.accuracy import page
from benchmarks.accuracy.cases import HELD, NETWORKS, Case, case_of
from benchmarks.accuracy.material import SEEDS
from benchmarks.common import record
from benchmarks.trained import ABSENT, opened

#: Numbers of calibration images.
COUNTS = (10, 30, 100, 300, 1000, 5000)
#: Calibration images of the other comparisons.
IMAGES = 300
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ROWS = (3, 5, 10, 20)
ONE, MEAN, BN = (ml.RepairSettings(), ml.RepairSettings("mean"), ml.RepairSettings("bn"))
METHODS: dict[str, tuple[ml.RepairSettings, ...]] = {
    "none": (),
    "mean folding": (MEAN,),
    "BatchNorm re-estimation": (BN,),
    "mean folding, then BatchNorm": (MEAN, BN),
    "BatchNorm, then ridge": (BN, ONE),
    "ridge": (ONE,),
    "ridge, then BatchNorm": (ONE, BN),
}


def main(only: Collection[str] = ()) -> None:
    """Run the benchmark, for these networks or all; says what is skipped, and why."""
    for name in only or NETWORKS:
        source = opened(NETWORKS[name], memory_format=torch.channels_last)
        if source is None:
            print(f"repair: {name} skipped, {ABSENT}", flush=True)
            continue
        figures: dict[str, Any] = {}
        for more in measured(case_of(source)):
            print(name, more, flush=True)
            figures |= more
            note(name, figures)


def note(name: str, found: dict[str, Any]) -> None:
    """Record what was found for a network so far, beside what earlier versions measured of it, and write the page."""
    tables = dict(page.last("repair"))
    tables[name] = tables.get(name, {}) | found
    record("repair", {"tables": tables, "held_out_a_class": HELD}, show=False)
    page.write()


def measured(case: Case) -> Iterator[dict[str, Any]]:
    """All comparisons for one network, table by table; one figure a seed of the calibration images."""
    own = [drawn(case.own, IMAGES, seed) for seed in SEEDS]
    yield {
        "classes": list(case.classes),
        "restricted": case.restricted(),
        "parameters_percent": case.parameters_percent,
        "held_out_images": len(case.held),
        "images": IMAGES,
        "methods": {name: [case.accuracy(some, *settings) for some in own] for name, settings in METHODS.items()},
    }
    for pool, images in (("of its classes", case.own), ("of any class of the source", case.every)):
        yield {pool: counted(case, images)}
    yield {"strength": {str(value): _each(case, own, ml.RepairSettings(strength=value)) for value in STRENGTHS}}
    yield {"rows": {str(rows): _each(case, own, ml.RepairSettings(rows=rows, least_rows=1)) for rows in ROWS}}


def drawn(images: Tensor, count: int, seed: int) -> Tensor:
    """Some of the images."""
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]]


def counted(case: Case, images: Tensor) -> dict[str, list[float]]:
    """Accuracy with each number of images that there are so many of."""
    return {
        str(count): _each(case, [drawn(images, count, seed) for seed in SEEDS], ONE)
        for count in COUNTS
        if count <= len(images)
    }


def _each(case: Case, samples: list[Tensor], settings: ml.RepairSettings) -> list[float]:
    return [case.accuracy(images, settings) for images in samples]

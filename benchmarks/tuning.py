"""make bench ARGS=tuning: components that are tuned, beside what they are in closed form alone, on test images.

One cut for each row, repaired in both ways with the same images: a CIFAR ResNet-20 of the zoo for all ten classes, and
EfficientNet-Lite0 for the ten classes of the photographs (benchmarks/lite.py says where it comes from).
"""

import argparse
import json
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks import lite
from benchmarks.common import RESULTS, record
from benchmarks.photos import BATCH
from benchmarks.trained import opened
from model_lego.data import batches, subset

#: Networks, multiply-adds that are left, images that all is fitted to.
ROWS = (("resnet20", 0.73, 1000), ("resnet20", 0.5, 1000), ("lite0", 0.5, 400), ("lite0", 0.3, 400))
RESNET = "resnet20-cifar10-akamaster"


@dataclass(frozen=True, eq=False)
class Case:
    """A trained network with its classes, training images as it takes them, and test images."""

    source: nn.Module
    classes: tuple[int, ...]
    train: list[tuple[Tensor, Tensor]]
    test: list[tuple[Tensor, Tensor]]

    @torch.no_grad()
    def accuracy(self, network: nn.Module, columns: list[int]) -> float:
        """Accuracy in % over the classes on the test images, of a network whose outputs these columns are."""
        classes = torch.tensor(self.classes)
        right = [classes[network(some)[:, columns].argmax(1)] == labels for some, labels in self.test]
        return 100 * float(torch.cat(right).double().mean())


def resnet20(images: int, seed: int) -> Case | None:
    """The ResNet-20, with so many training images, and the test images of CIFAR-10."""
    found = opened(RESNET)
    if found is None:
        return None
    per_class = images // len(found.names)
    train = subset(found.split.train, range(len(found.names)), per_class=per_class, seed=seed)
    feeds = [
        [(found.preprocessing(some), labels) for some, labels in batches(each, batch_size=BATCH)]
        for each in (train, found.split.test)
    ]
    return Case(found.model, tuple(range(len(found.names))), *feeds)


def lite0(images: int, seed: int) -> Case | None:
    """EfficientNet-Lite0, with so many training photographs, and all of the validation set's."""
    found = lite.opened()
    if found is None:
        return None
    train = subset(found.split.train, found.labels, per_class=images // len(found.labels), seed=seed)
    numbered = replace(train, labels=torch.tensor(found.labels)[train.labels])  # a subset counts its classes
    feeds = [
        [(lite.TAKING(some), labels) for some, labels in batches(each, batch_size=BATCH)]
        for each in (numbered, found.split.test)
    ]
    return Case(found.model, found.labels, *feeds)


CASES = {"resnet20": resnet20, "lite0": lite0}


def measured(name: str, macs: float, images: int, settings: ml.RepairSettings) -> dict[str, Any] | None:
    """One row; None where the network or its images are not here."""
    case = CASES[name](images, settings.seed)
    if case is None:
        return None
    graph = ml.trace(case.source, case.train[0][0][:2])
    budget = ml.Budget(macs=macs)
    planned = ml.plan(
        case.source,
        case.train,
        classes=case.classes,
        calibration=case.train,
        budget=budget,
        seed=settings.seed,
        graph=graph,
    )
    cut = ml.cut(case.source, planned)
    columns = list(range(len(case.classes)))
    row: dict[str, Any] = {"network": name, "macs": macs, "images": images, "seed": settings.seed}
    row["restricted"] = case.accuracy(case.source, list(case.classes))
    for method in ("ridge", settings):
        part = ml.repair(cut, case.source, case.train, method=method, graph=graph)
        row["training-free" if method == "ridge" else "tuned"] = case.accuracy(part, columns)
    return row | {"tuning": part.origin.settings["repair"]["tuning"]}


def main(settings: ml.RepairSettings | None = None, rows: tuple[tuple[str, float, int], ...] = ROWS) -> None:
    """Measure these rows and record them beside those of earlier runs; says what is skipped."""
    settings = settings or ml.RepairSettings("tuned")
    file = RESULTS / "tuning.json"
    found: dict[str, Any] = json.loads(file.read_text())["rows"] if file.is_file() else {}
    for name, macs, images in rows:
        row = measured(name, macs, images, settings)
        if row is None:
            print(f"tuning: {name} skipped, network or images are not here", flush=True)
            continue
        print(row, flush=True)
        limit = f"{settings.seconds:g} seconds" if settings.steps is None else f"{settings.steps} steps"
        found[f"{name}, macs {macs:g}, {images} images, {limit}, seed {settings.seed}"] = row
        record("tuning", {"rows": found}, show=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=CASES, help="only this network")
    parser.add_argument("--macs", type=float, help="only this share of the multiply-adds")
    parser.add_argument("--seconds", type=float, default=ml.RepairSettings("tuned").seconds)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    main(
        ml.RepairSettings("tuned", seconds=given.seconds, steps=given.steps, seed=given.seed),
        tuple(row for row in ROWS if given.network in (None, row[0]) and given.macs in (None, row[1])),
    )

"""python -m benchmarks.imagenet_pair [SEED …]: five classes each of two ImageNet networks as one classifier of ten.

EfficientNet-Lite0 and -Lite2 (benchmarks/lite.py), components and assembly at the defaults, made of training
photographs and measured on the validation set's. Beside it the same two networks uncut, restricted to their five
classes each and joined in the same way with the same calibration images, and each way without calibration.
"""

import json
import sys
import warnings
from typing import Any

import torch
from torch import Tensor

import model_lego as ml
from benchmarks import lite
from benchmarks.common import RESULTS, record
from model_lego.data import batches, open_data, subset
from model_lego.data.batching import Batches

#: Which network gives which of the ten classes, in the order of their labels.
PARTS = ((0, slice(0, 5)), (2, slice(5, 10)))
BATCH, A_CLASS = 20, 50


def measured(seed: int) -> dict[str, Any]:
    """Both assemblies with one seed: accuracy in % of ten classes, cost, and what the verdicts say."""
    cut, uncut = [], []
    for number, which in PARTS:
        found = lite.opened(number)
        assert found is not None
        given: dict[str, Any] = {
            "classes": found.labels[which],
            "class_names": found.split.class_names,
            "preprocessing": lite.taking(number),
            "seed": seed,
        }
        feed = batches(found.split.train, batch_size=BATCH)
        cut.append(ml.disassemble(found.model, feed, **given))
        uncut.append(ml.disassemble(found.model, feed, budget=ml.Budget(macs=1.0), repair="none", **given))
        print(number, cut[-1].verdict, flush=True)
    largest = lite.taking(max(number for number, _ in PARTS))
    split = open_data(lite.photographs() or "", preprocessing=largest, classes="imagenet")
    labels = sorted(set(split.train.labels.tolist()))
    train, test = (
        subset(images, labels, per_class=per_class, seed=seed)
        for images, per_class in ((split.train, A_CLASS), (split.test, None))
    )
    row: dict[str, Any] = {"seed": seed, "calibration_a_class": A_CLASS, "test_images": len(test)}
    for name, parts in (("components", cut), ("uncut sources", uncut)):
        for how, calibration in (("calibrated", batches(train, batch_size=BATCH)), ("as they are", None)):
            assembly = ml.assemble(parts, calibration=calibration, seed=seed)
            row[f"{name}, {how}"] = {
                "accuracy": accuracy_of(assembly, batches(test, batch_size=BATCH)),
                "head": assembly.head.kind,
                "verdict": None if assembly.verdict is None else str(assembly.verdict),
            }
            print(name, how, row[f"{name}, {how}"], flush=True)
    row["parts"] = [
        {
            "network": f"EfficientNet-Lite{number}",
            "macs_percent": round(100 * part.origin.cost_after.macs / part.origin.cost_before.macs, 1),
            "parameters_percent": round(
                100 * part.origin.cost_after.parameters / part.origin.cost_before.parameters, 1
            ),
            "verdict": str(part.verdict),
        }
        for (number, _), part in zip(PARTS, cut, strict=True)
    ]
    return row


@torch.no_grad()
def accuracy_of(assembly: ml.Assembly, feed: Batches) -> float:
    """Accuracy in % of an assembly on labelled batches."""
    right: list[Tensor] = [assembly(images).argmax(1) == labels for images, labels in feed]
    return round(100 * float(torch.cat(right).double().mean()), 2)


def main(seeds: tuple[int, ...] = (0,)) -> None:
    """Measure and record, beside other seeds; says what is not here."""
    if lite.photographs() is None or any(lite.weights_file(number) is None for number, _ in PARTS):
        print(f"imagenet_pair: skipped, {lite.ABSENT}, or that of Lite2")
        return
    file = RESULTS / "imagenet_pair.json"
    found: dict[str, Any] = json.loads(file.read_text())["seeds"] if file.is_file() else {}
    for seed in seeds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ml.DoubtfulResult)
            found[str(seed)] = measured(seed)
        record("imagenet_pair", {"seeds": found}, show=False)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or (0,))

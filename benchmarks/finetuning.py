"""Components and assemblies of trained half-width VGG-16, before and after a few epochs of fine-tuning.

They are cut as published, and with our repair. Fine-tuning sees 500 training images of each class; test images are
used for the figures alone.
"""

import time
from dataclasses import replace
from typing import Any

import model_lego as ml
from benchmarks.common import record, shared
from benchmarks.distillation import HALVES, joined, part
from benchmarks.zoo_vgg import SEED
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.sets import subset
from model_lego.finetuning import GENTLE

CLASSES = (("bird", "cat", "deer"), ("dog", "horse"))
EPOCHS = (1, 3)
PER_CLASS = 500
REPAIRS = {"published cut": "none", "ridge repair": "ridge"}


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    data = shared("data/cifar10-15k.npz")
    halves = [shared(f"zoo/vgg16-half-cifar10-{name}.safetensors") for name, _ in HALVES]
    if data is None or any(path is None for path in halves):
        print("finetuning: skipped, the trained networks and CIFAR-10 are not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    rows: dict[str, dict[str, Any]] = {"component": {}, "assembly, parallel": {}, "assembly, padded": {}}
    for title, repair in REPAIRS.items():
        parts = [
            part(split, str(path), which, classes, repair)
            for path, (_, which), classes in zip(halves, HALVES, CLASSES, strict=True)
        ]
        rows["component"][title] = _tuned(parts[0], split)
        for layout in ("parallel", "padded"):
            rows[f"assembly, {layout}"][title] = _tuned(joined(parts, split, layout), split)
    record("finetuning", {"seed": SEED, "images_a_class": PER_CLASS, "classes": CLASSES, "accuracy": rows})


def _tuned(before: ml.Component | ml.Assembly, split: DataSplit) -> dict[str, float]:
    """Accuracy on test images before and after some epochs, and the seconds that the longest took."""
    labels = [split.class_names.index(name) for name in before.classes]
    train = batches(subset(split.train, labels, per_class=PER_CLASS, seed=SEED))
    test = batches(subset(split.test, labels), batch_size=250)
    found = {"before": ml.evaluate(before, test).accuracy}
    for epochs in EPOCHS:
        started = time.perf_counter()
        settings = replace(GENTLE, epochs=epochs, crop=4, flip=True, seed=SEED)
        found[f"{epochs} epochs"] = ml.evaluate(ml.finetune(before, train, settings), test).accuracy
        found["seconds"] = time.perf_counter() - started
    print(before, found)
    return found


if __name__ == "__main__":
    main()

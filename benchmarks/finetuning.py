"""A component of a trained half-width VGG-16, before and after a few epochs of fine-tuning.

It is cut as published, and with our repair. Fine-tuning sees 500 training images of each class; test images are
used for the figures alone.
"""

import time
from dataclasses import replace

import model_lego as ml
from benchmarks.common import record, shared
from benchmarks.distillation import HALVES, part
from benchmarks.zoo_vgg import SEED
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.sets import subset
from model_lego.training.finetuning import GENTLE

CLASSES = ("bird", "cat", "deer")
EPOCHS = (1, 3)
PER_CLASS = 500
REPAIRS = {"published cut": "none", "ridge repair": "ridge"}


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    data = shared("data/cifar10-15k.npz")
    half = shared("zoo/vgg16-half-cifar10-0to4.safetensors")
    if data is None or half is None:
        print("finetuning: skipped, the trained network and CIFAR-10 are not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    rows = {
        title: _tuned(part(split, str(half), HALVES[0][1], CLASSES, repair), split) for title, repair in REPAIRS.items()
    }
    record("finetuning", {"seed": SEED, "images_a_class": PER_CLASS, "classes": CLASSES, "accuracy": rows})


def _tuned(before: ml.Component, split: DataSplit) -> dict[str, float]:
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

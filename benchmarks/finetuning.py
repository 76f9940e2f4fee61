"""A component of a trained half-width VGG-16, before and after a few epochs of fine-tuning.

It is cut as published, and with our repair. Fine-tuning sees 500 training images of each class; test images are
used for the figures alone.
"""

import time
from dataclasses import replace

import model_lego as ml
from benchmarks.common import record
from benchmarks.distillation import part
from benchmarks.trained import ABSENT, BATCH, FIRST, opened
from benchmarks.zoo_vgg import SEED
from model_lego.data import DataSplit, batches
from model_lego.data.sets import subset
from model_lego.repairing.layerwise import Method
from model_lego.training.finetuning import GENTLE

CLASSES = ("bird", "cat", "deer")
EPOCHS = (1, 3)
PER_CLASS = 500
REPAIRS: dict[str, Method] = {"published cut": "none", "ridge repair": "ridge"}


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    source = opened(FIRST)
    if source is None:
        print(f"finetuning: skipped, {ABSENT}")
        return
    rows = {title: _tuned(part(source, CLASSES, repair=repair), source.split) for title, repair in REPAIRS.items()}
    record("finetuning", {"seed": SEED, "images_a_class": PER_CLASS, "classes": CLASSES, "accuracy": rows})


def _tuned(before: ml.Component, split: DataSplit) -> dict[str, float]:
    """Accuracy on test images before and after some epochs, and the seconds that the longest took."""
    labels = [split.class_names.index(name) for name in before.classes]
    train = batches(subset(split.train, labels, per_class=PER_CLASS, seed=SEED))
    test = batches(subset(split.test, labels), batch_size=BATCH)
    figures = {"before": ml.evaluate(before, test).accuracy}
    for epochs in EPOCHS:
        started = time.perf_counter()
        settings = replace(GENTLE, epochs=epochs, crop=4, flip=True, seed=SEED)
        figures[f"{epochs} epochs"] = ml.evaluate(ml.finetune(before, train, settings), test).accuracy
        figures["seconds"] = time.perf_counter() - started
    print(before, figures)
    return figures


if __name__ == "__main__":
    main()

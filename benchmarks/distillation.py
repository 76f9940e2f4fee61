"""A quarter-width VGG-16 taught by an assembly of two components, beside the same student trained alone.

The teacher knows the ten classes of CIFAR-10: components of all classes of two half-width VGG-16, joined without
training. Budget, images, their order and the seed of all trainings are the same. Test images are used for the figures
alone.
"""

import time
from typing import Any

import torch

import model_lego as ml
from benchmarks.common import record
from benchmarks.trained import ABSENT, BATCH, FIRST, NORMAL, SECOND, cifar10, opened
from benchmarks.zoo_vgg import SEED
from model_lego.data import DataSplit, batches
from model_lego.data.sets import subset
from model_lego.disassembly.disassembling import whole
from model_lego.evaluation.results import Row
from model_lego.models import build
from model_lego.repairing.layerwise import Method
from model_lego.tables.bench import Source

SETTINGS = ml.TrainingSettings(epochs=5, learning_rate=0.05, clip=1.0, crop=4, flip=True, seed=SEED)
#: Chosen on held-out training images of digits.
TEMPERATURE, HARD = 2.0, 0.5


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    split, first, second = cifar10(), opened(FIRST), opened(SECOND)
    if split is None or first is None or second is None:
        print(f"distillation: skipped, {ABSENT}")
        return
    train, test, names = batches(split.train), batches(split.test, batch_size=BATCH), split.class_names
    teacher = joined([part(first), part(second)], split)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build("zoo:vgg16", num_classes=10, width=0.25).eval()
    student = whole(network, next(iter(test))[0], classes=names, preprocessing=NORMAL)
    started = time.perf_counter()
    lesson: dict[str, Any] = {"temperature": TEMPERATURE, "hard": HARD}
    gain = ml.distillation_gain(teacher, student, train, test, SETTINGS, class_names=names, **lesson)
    print(gain)
    rows = {"taught": gain.report.rows[0], "alone": gain.report.row("alone"), "teacher": gain.report.row("teacher")}
    result = {"seed": SEED, "images": len(split.train), "epochs": SETTINGS.epochs, "temperature": TEMPERATURE}
    result |= {"hard": HARD, "gain": gain.points, "seconds": time.perf_counter() - started}
    record("distillation", result | {name: _figures(row) for name, row in rows.items()})


def part(source: Source, classes: tuple[str, ...] = (), *, repair: Method = "ridge") -> ml.Component:
    """A component of some classes of a network, all by default."""
    return ml.disassemble(
        source.model,
        source.train,
        classes=classes or source.names,
        class_names=source.names,
        thresholds=ml.Thresholds(),
        seed=SEED,
        preprocessing=source.preprocessing,
        repair=repair,
    )


def joined(parts: list[ml.Component], split: DataSplit) -> ml.Assembly:
    """An assembly, calibrated by fifty training images of each class."""
    names = [name for each in parts for name in each.classes]
    images = subset(split.train, [split.class_names.index(name) for name in names], per_class=50, seed=SEED)
    return ml.assemble(parts, calibration=batches(images), seed=SEED)


def _figures(row: Row) -> dict[str, object]:
    figures = {"accuracy": row.accuracy, "interval": list(row.interval)}
    return figures | {"parameters": row.parameters, "macs": row.macs}


if __name__ == "__main__":
    main()

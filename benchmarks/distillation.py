"""A quarter-width VGG-16 taught by an assembly of two components, beside the same student trained alone.

The teacher knows the ten classes of CIFAR-10: components of all classes of two half-width VGG-16, joined without
training. Budget, images, their order and the seed of all trainings are the same. Test images are used for the figures
alone.
"""

import time

import torch

import model_lego as ml
from benchmarks.common import record, shared
from benchmarks.zoo_vgg import NORMAL, SEED
from model_lego.data import DataSplit, batches, open_data
from model_lego.data.sets import subset
from model_lego.disassembly.disassembling import whole
from model_lego.evaluation.results import Row
from model_lego.models import build, load_weights

HALVES = (("0to4", slice(0, 5)), ("5to9", slice(5, 10)))
SETTINGS = ml.TrainingSettings(epochs=5, learning_rate=0.05, clip=1.0, crop=4, flip=True, seed=SEED)
#: Chosen on held-out training images of digits.
TEMPERATURE, HARD = 2.0, 0.5


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    data = shared("data/cifar10-15k.npz")
    halves = [shared(f"zoo/vgg16-half-cifar10-{name}.safetensors") for name, _ in HALVES]
    if data is None or any(path is None for path in halves):
        print("distillation: skipped, the trained networks and CIFAR-10 are not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    train, test, names = batches(split.train), batches(split.test, batch_size=250), split.class_names
    teacher = joined([part(split, str(path), which) for path, (_, which) in zip(halves, HALVES, strict=True)], split)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build("zoo:vgg16", num_classes=10, width=0.25).eval()
    student = whole(network, next(iter(test))[0], classes=names, preprocessing=NORMAL)
    started = time.perf_counter()
    gain = ml.distillation_gain(
        teacher, student, train, test, SETTINGS, class_names=names, temperature=TEMPERATURE, hard=HARD
    )  # fmt: skip
    print(gain)
    rows = {"taught": gain.report.rows[0], "alone": gain.report.row("alone"), "teacher": gain.report.row("teacher")}
    result = {"seed": SEED, "images": len(split.train), "epochs": SETTINGS.epochs, "temperature": TEMPERATURE}
    result |= {"hard": HARD, "gain": gain.points, "seconds": time.perf_counter() - started}
    record("distillation", result | {name: _figures(row) for name, row in rows.items()})


def part(
    split: DataSplit, weights: str, which: slice, classes: tuple[str, ...] = (), repair: str = "ridge"
) -> ml.Component:
    """A component of some classes, all by default, of one half-width VGG-16."""
    names = split.class_names[which]
    train = batches(subset(split.train, [split.class_names.index(name) for name in names]), batch_size=250)
    source = load_weights(build("zoo:vgg16", num_classes=len(names), width=0.5), weights).eval()
    return ml.disassemble(
        source, train, classes=classes or names, class_names=names, seed=SEED, preprocessing=NORMAL, repair=repair  # type: ignore[arg-type]
    )  # fmt: skip


def joined(parts: list[ml.Component], split: DataSplit, layout: str = "parallel") -> ml.Assembly:
    """An assembly, calibrated by fifty training images of each class."""
    names = [name for each in parts for name in each.classes]
    images = subset(split.train, [split.class_names.index(name) for name in names], per_class=50, seed=SEED)
    return ml.assemble(parts, calibration=batches(images), layout=layout, seed=SEED)  # type: ignore[arg-type]


def _figures(row: Row) -> dict[str, object]:
    return {
        "accuracy": row.accuracy, "interval": list(row.interval), "parameters": row.parameters, "macs": row.macs
    }  # fmt: skip


if __name__ == "__main__":
    main()

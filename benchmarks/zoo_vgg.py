"""Components of a trained half-width VGG-16 (CIFAR-10, classes 0-4), repaired and not, beside their baselines.

Test images are used for the figures alone; statistics and calibration come from training images.
"""

import time
from typing import Any

import model_lego as ml
from benchmarks.common import record, shared
from model_lego.data import batches, open_data
from model_lego.data.sets import subset
from model_lego.models import build, load_weights

NAMES = ("airplane", "automobile", "bird", "cat", "deer")
TASKS = (("bird", "cat", "deer"), ("airplane", "automobile"), NAMES)
NORMAL = ml.Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
SEED = 0


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    data, weights = shared("data/cifar10-15k.npz"), shared("zoo/vgg16-half-cifar10-0to4.safetensors")
    if data is None or weights is None:
        print("zoo_vgg: skipped, the trained network and CIFAR-10 are not here (set MODEL_LEGO_SHARED)")
        return
    source = load_weights(build("zoo:vgg16", num_classes=5, width=0.5), weights).eval()
    split = open_data(data)
    labels = [split.class_names.index(name) for name in NAMES]
    train = batches(subset(split.train, labels), batch_size=250)
    test = batches(subset(split.test, labels), batch_size=250)
    rows = [_task(source, classes, train, test) for classes in TASKS]
    record("zoo_vgg", {"seed": SEED, "calibration_images": 1000, "statistics_a_class": 50, "tasks": rows})


def _task(source: Any, classes: tuple[str, ...], train: Any, test: Any) -> dict[str, Any]:
    common: dict[str, Any] = {"classes": classes, "class_names": NAMES, "seed": SEED, "preprocessing": NORMAL}
    started = time.perf_counter()
    component = ml.disassemble(source, train, **common)
    seconds = time.perf_counter() - started
    accuracy = {}
    for method in ("none", "bn", "mean"):
        other = ml.disassemble(source, train, repair=method, **common)
        accuracy[f"repair {method}"] = ml.evaluate(other, test, class_names=NAMES).accuracy
    report = ml.evaluate(
        component, test, class_names=NAMES, baselines=ml.baselines(component, source, calibration=train, seed=SEED)
    )
    accuracy["repair ridge"] = report.accuracy
    before, after = component.origin.cost_before, component.origin.cost_after
    return {
        "classes": list(classes),
        "parameters_percent": 100 * after.parameters / before.parameters,
        "macs_percent": 100 * after.macs / before.macs,
        "accuracy": accuracy,
        "baselines": {row.name: row.accuracy for row in report.rows[1:]},
        "auroc": list(report.rows[0].separation),
        "disassemble_seconds": seconds,
    }


if __name__ == "__main__":
    main()

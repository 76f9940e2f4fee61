"""Components of a trained half-width VGG-16 (CIFAR-10, classes 0-4): the paper's, repaired and not, beside baselines.

The default of `disassemble`, with what it takes, stands beside the thresholds of the paper.

Test images are used for the figures alone; statistics and calibration come from training images.
"""

import time
from typing import Any

from torch import nn

import model_lego as ml
from benchmarks.common import record
from benchmarks.trained import ABSENT, BATCH, FIRST, HALVES, opened
from model_lego.data import batches
from model_lego.data.batching import Batches
from model_lego.tables.bench import Source

TASKS = (("bird", "cat", "deer"), ("airplane", "automobile"), HALVES[0])
SEED = 0


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    source = opened(FIRST)
    if source is None:
        print(f"zoo_vgg: skipped, {ABSENT}")
        return
    rows = [_task(source, classes) for classes in TASKS]
    record("zoo_vgg", {"seed": SEED, "calibration_images": 1000, "statistics_a_class": 50, "tasks": rows})


def _task(source: Source, classes: tuple[str, ...]) -> dict[str, Any]:
    model, train, names = source.model, source.train, source.names
    test = batches(source.split.test, batch_size=BATCH)
    common: dict[str, Any] = {"class_names": names, "seed": SEED, "preprocessing": source.preprocessing}
    common["classes"] = classes
    default, default_seconds = _timed(model, train, **common)
    common["thresholds"] = ml.Thresholds()
    component, seconds = _timed(model, train, **common)
    accuracy = {}
    for method in ("none", "bn", "mean"):
        other = ml.disassemble(model, train, repair=method, **common)
        accuracy[f"repair {method}"] = ml.evaluate(other, test, class_names=names).accuracy
    report = ml.evaluate(
        component, test, class_names=names, baselines=ml.baselines(component, model, calibration=train, seed=SEED)
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
        "default": {
            "accuracy": ml.evaluate(default, test, class_names=names).accuracy,
            "parameters_percent": 100 * default.origin.cost_after.parameters / before.parameters,
            "macs_percent": 100 * default.origin.cost_after.macs / before.macs,
            "disassemble_seconds": default_seconds,
            "times_as_long": default_seconds / seconds,
            "verdict": str(default.verdict),
        },
    }


def _timed(model: nn.Module, train: Batches, **options: Any) -> tuple[ml.Component, float]:
    """A component, and the seconds that it took."""
    started = time.perf_counter()
    return ml.disassemble(model, train, **options), time.perf_counter() - started


if __name__ == "__main__":
    main()

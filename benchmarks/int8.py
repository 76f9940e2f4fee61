"""python -m benchmarks.int8 [WORD …]: components as int8 ONNX files beside their floats and their uncut sources.

The zoo's VGG-16 for three of its classes (within a budget of time, and of size) and EfficientNet-Lite0 for ten of
ImageNet's (within three quarters of the multiply-adds, and whole), calibrated on 256 training images: accuracy in % on
test images (of Lite0 ImageNet's validation photographs), and how many times as fast as the uncut source in floats, in
turns in one process.
"""

import json
import statistics
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks import lite
from benchmarks.common import RESULTS, record
from benchmarks.trained import FIRST, opened
from model_lego.data import DataSplit, batches, subset
from model_lego.exporting import onnx_file
from model_lego.exporting.runtimes import RUNTIMES
from model_lego.exporting.turns import Timeable, in_turns

TASK = ("bird", "cat", "deer")
BATCH, BATCHES, THREADS, ROUNDS, SEED = 20, (1, 32), (1, 2), 9, 0
WAYS: dict[str, dict[str, Any]] = {
    "latency=0.4": {"budget": ml.Budget(latency=0.4), "device": ml.Device("onnxruntime", (1, 32))},
    "params=0.06, macs=0.3": {"budget": ml.Budget(params=0.06, macs=0.3), "multiple": 16},
    "macs=0.75": {"budget": ml.Budget(macs=0.75)},
    "macs=0.75, multiples of 16": {"budget": ml.Budget(macs=0.75), "multiple": 16},
    "whole": {"budget": ml.Budget(macs=1.0), "repair": "none"},
}


def measured(model: nn.Module, split: DataSplit, ways: tuple[str, ...], **given: Any) -> dict[str, Any]:
    """Accuracy and speed of components of a network, in floats and as int8, by how they were cut."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as room:
        whole = ml.disassemble(model, batches(split.train, batch_size=BATCH), **given, **WAYS["whole"])
        ml.export(whole, Path(room, "source.onnx"))
        train, test = (batches(subset(part, whole.labels), batch_size=BATCH) for part in (split.train, split.test))
        source = [_right(whole(images), labels) for images, labels in test]
        found["restricted"] = _percent(source)
        for way in ways:
            part = ml.disassemble(model, batches(split.train, batch_size=BATCH), **given, **WAYS[way])
            names = ("source", "floats", "int8")
            files = [Path(room, f"{name}.onnx") for name in names]
            ml.export(part, files[1], overwrite=True)
            ml.quantize(part, files[2], train, overwrite=True)
            row: dict[str, Any] = {
                "macs_percent": round(100 * part.origin.cost_after.macs / part.origin.cost_before.macs, 1),
                "bytes": {name: file.stat().st_size for name, file in zip(names, files, strict=True)},
            }
            for name, file in zip(names[1:], files[1:], strict=True):
                run = onnx_file.opened(file)
                row[name] = _percent(_right(torch.from_numpy(np.asarray(run(x.numpy()))), y) for x, y in test)
            shape = tuple(next(iter(test))[0].shape[1:])
            for threads in THREADS:
                timed = [Timeable(RUNTIMES["onnxruntime"], file, shape, "float32") for file in files]
                turns = in_turns(timed, threads, BATCHES, ROUNDS).milliseconds
                for batch in BATCHES:
                    first, *others = turns[batch]
                    row[f"times as fast, batch {batch}, {threads} threads"] = {
                        name: round(statistics.median(a / b for a, b in zip(first, each, strict=True)), 2)
                        for name, each in zip(names[1:], others, strict=True)
                    }
            found[way] = row
            print(way, row, flush=True)
    return found


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).double()


def _percent(right: Any) -> float:
    return round(100 * float(torch.cat(list(right)).mean()), 2)


@torch.no_grad()
def main(words: list[str]) -> None:
    """Measure what is here, in the ways whose names hold a word, and record it beside what is recorded of others."""
    file = RESULTS / "int8.json"
    result: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for name, open_it, ways in (
        ("VGG-16, half width, {bird, cat, deer}", _vgg, ("latency=0.4", "params=0.06, macs=0.3")),
        ("EfficientNet-Lite0, ten ImageNet classes", _lite, ("macs=0.75", "macs=0.75, multiples of 16", "whole")),
    ):
        wanted = tuple(way for way in ways if not words or any(word in way for word in words))
        found = open_it() if wanted else None
        if found is None:
            print(f"{name}: left out")
            continue
        model, split, given = found
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ml.DoubtfulResult)
            rows = measured(model, split, wanted, seed=SEED, **given)
        result[name] = result.get(name, {}) | rows
        record("int8", result | {"seed": SEED}, show=False)


def _vgg() -> tuple[nn.Module, DataSplit, dict[str, Any]] | None:
    found = opened(FIRST)
    if found is None:
        return None
    given = {"classes": TASK, "class_names": found.names, "preprocessing": found.preprocessing}
    return found.model, found.split, given


def _lite() -> tuple[nn.Module, DataSplit, dict[str, Any]] | None:
    found = lite.opened()
    if found is None:
        return None
    given = {"classes": found.labels, "class_names": found.split.class_names, "preprocessing": lite.TAKING}
    return found.model, found.split, given


if __name__ == "__main__":
    main(sys.argv[1:])

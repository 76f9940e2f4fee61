"""python -m benchmarks.together: two parts as one assembly beside the parts one after the other; torch, ONNX Runtime.

Halves of two networks of one architecture with random weights, so times only: the parts called one after the other, the
parallel assembly in turns and on threads, the padded one, and (each convolution alone, summed) two of the parts'
convolutions beside one grouped convolution that gives both. All take turns; ratios are medians of rounds.
"""

import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.common import record
from model_lego.exporting.formats import Array, Run
from model_lego.exporting.onnx_file import opened
from model_lego.models import build
from model_lego.parts.at_once import How
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from tests.support.components import cut_part

#: Name, arguments, and side of the images.
NETWORKS: Mapping[str, tuple[dict[str, Any], int]] = {
    "zoo:vgg16": ({"width": 0.5}, 32),
    "torchvision:resnet18": ({}, 64),
    "torchvision:mobilenet_v2": ({}, 96),
}
BATCHES, THREADS, ROUNDS = (1, 8, 32), (1, 2), 11


def halves(name: str) -> list[Component]:
    """Half of the channels and of the logits of two networks of one architecture."""
    arguments, side = NETWORKS[name]
    found = []
    for number, classes in enumerate(("abc", "def")):
        torch.manual_seed(number)
        model = build(name, num_classes=6, **arguments).eval()
        graph = ml.trace(model, torch.rand(2, 3, side, side))
        builder = Builder(name, {"num_classes": 6} | arguments)
        logits = range(3 * number, 3 * number + 3)
        found.append(cut_part(model, graph, logits=logits, names=classes, builder=builder))
    return found


def in_torch(parts: list[Component], side: int, threads: int) -> dict[str, Any]:
    """Times as shares of that of the parts one after the other, by number of images."""
    torch.set_num_threads(threads)
    parallel, padded = (ml.assemble(parts, layout=layout) for layout in ("parallel", "padded"))
    found = {}
    for batch in BATCHES:
        images = torch.rand(batch, 3, side, side)

        def run(how: How, whole: nn.Module = parallel, images: Tensor = images) -> None:
            with ml.parts_run(how):
                whole(images)

        calls: dict[str, Callable[[], object]] = {
            "one after the other": partial(_each, parts, images),
            "parallel, in turns": partial(run, "turns"),
            "parallel, on threads": partial(run, "threads"),
            "padded": partial(run, "turns", padded),
        }
        found[str(batch)] = ratios(calls) | {"grouped convolutions": grouped(parts, images)}
    return found


def _each(parts: list[Component], images: Tensor) -> list[Tensor]:
    return [part(images) for part in parts]


def ratios(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Time of each in parts of that of the first, the median of rounds."""
    times = seconds(calls)
    first = next(iter(times.values()))
    return {
        name: round(statistics.median(own / base for own, base in zip(each, first, strict=True)), 2)
        for name, each in times.items()
    }


def seconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Times of each in rounds in which all take turns, so that no one finds its own weights in the cache."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 2):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number > 1:  # the first warm up
                taken[name].append(time.perf_counter() - started)
    return taken


def grouped(parts: list[Component], images: Tensor) -> float:
    """What one grouped convolution takes where two are, over all convolutions of the first part, each on its own."""
    read: list[tuple[nn.Conv2d, Tensor]] = []
    layers = [module for module in parts[0].modules() if isinstance(module, nn.Conv2d)]
    hooks = [layer.register_forward_pre_hook(lambda layer, given: read.append((layer, given[0]))) for layer in layers]
    parts[0](images)
    for hook in hooks:
        hook.remove()
    alone = both = 0.0
    for layer, x in read:
        times = seconds({"two": partial(_twice, layer, x), "one": partial(_doubled(layer), torch.cat([x, x], 1))})
        alone, both = alone + statistics.median(times["two"]), both + statistics.median(times["one"])
    return round(both / alone, 2)


def _twice(layer: nn.Conv2d, x: Tensor) -> tuple[Tensor, Tensor]:
    return layer(x), layer(x)


def _doubled(layer: nn.Conv2d) -> nn.Conv2d:
    """Two convolutions as one of twice as many groups."""
    twin = copy.deepcopy(layer)
    twin.weight = nn.Parameter(torch.cat([layer.weight, layer.weight]))
    twin.bias = None if layer.bias is None else nn.Parameter(torch.cat([layer.bias, layer.bias]))
    twin.in_channels, twin.out_channels, twin.groups = 2 * layer.in_channels, 2 * layer.out_channels, 2 * layer.groups
    return twin


def in_onnxruntime(parts: list[Component], side: int, folder: Path) -> dict[str, Any]:
    """Time of the assemblies in parts of that of both parts' files, by threads and number of images."""
    wholes: dict[str, ml.Component | ml.Assembly] = {"one": parts[0], "other": parts[1]}
    wholes |= {layout: ml.assemble(parts, layout=layout) for layout in ("parallel", "padded")}
    for name, whole in wholes.items():
        ml.export(whole, folder / f"{name}.onnx")
    found: dict[str, Any] = {}
    for threads in THREADS:
        runs = {name: opened(folder / f"{name}.onnx", threads) for name in wholes}
        for batch in BATCHES:
            images = torch.rand(batch, 3, side, side).numpy()
            calls: dict[str, Callable[[], object]] = {
                "one after the other": partial(_both, runs["one"], runs["other"], images),
                "parallel": partial(runs["parallel"], images),
                "padded": partial(runs["padded"], images),
            }
            found.setdefault(str(threads), {})[str(batch)] = ratios(calls)
    return found


def _both(one: Run, other: Run, images: Array) -> tuple[Array, Array]:
    return one(images), other(images)


@torch.no_grad()
def main() -> None:
    """Measure and record."""
    result: dict[str, Any] = {}
    for name, (_, side) in NETWORKS.items():
        parts = halves(name)
        with tempfile.TemporaryDirectory() as folder:
            result[name] = {
                "torch": {str(threads): in_torch(parts, side, threads) for threads in THREADS},
                "onnxruntime": in_onnxruntime(parts, side, Path(folder)),
            }
        print(name, result[name], flush=True)
    record("together", {"networks": result, "processors": os.cpu_count(), "shares of": "the parts one after the other"})


if __name__ == "__main__":
    main()

"""A thousand classes in bounded memory, location from a file, and how repair and disassembly spend their time."""

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import model_lego as ml
from benchmarks.attribution.forward import material
from benchmarks.attribution.timing import in_turns, median, seconds
from benchmarks.trained import ABSENT, FIRST, NORMAL, opened
from model_lego.repairing import layerwise
from model_lego.repairing.least_squares import ridge


def a_thousand_classes() -> dict[str, Any]:
    """ResNet-50 with 1,000 classes, all of them collected into a file; peak memory of the whole process."""
    model, images, labels = material("zoo:resnet50", 2000, 32, 1000)
    graph = ml.trace(model, images[:2])
    given = list(zip(images.split(100), labels.split(100), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        stats = ml.collect(model, given, Path(folder) / "stats", graph=graph, sampling="all")
        took = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = sum(path.stat().st_size for path in (Path(folder) / "stats").iterdir())
        files = len(list((Path(folder) / "stats").glob("*.safetensors")))
        located = seconds(lambda: ml.locate(graph, stats, classes=range(10)))
    return {
        "network": "zoo:resnet50",
        "classes": 1000,
        "images": 2000,
        "peak_mib of the process": peak,
        "bytes on disk": size,
        "files": files,
        "seconds": took,
        "seconds to locate ten classes": located,
    }


def location() -> dict[str, Any]:
    """Ten classes of ResNet-50 from stored statistics: reading the file, and locating."""
    model, images, labels = material("zoo:resnet50", 64, 32)
    graph = ml.trace(model, images[:2])
    with tempfile.TemporaryDirectory() as folder:
        stats = ml.attribute(model, [(images, labels)], graph=graph, sampling="all")
        ml.save_statistics(stats, Path(folder) / "stats")
        times = in_turns(
            {
                "load": lambda: ml.load_statistics(Path(folder) / "stats"),
                "locate": lambda: ml.locate(graph, stats, classes=range(10)),
                "load and locate": lambda: ml.locate(
                    graph, ml.load_statistics(Path(folder) / "stats"), classes=range(10)
                ),
            }
        )
    return {"network": "zoo:resnet50", "classes": 10, "seconds": {name: median(times, name) for name in times}}


def repair_and_disassemble() -> dict[str, Any]:
    """The half-width VGG-16 of the zoo, 1,000 calibration images: repair beside both networks' forward passes."""
    trained = opened(FIRST)
    if trained is None:
        return {"skipped": ABSENT}
    source, train, names = trained.model, trained.train, trained.names
    common: dict[str, Any] = {
        "classes": names,
        "class_names": names,
        "preprocessing": NORMAL,
        "thresholds": ml.Thresholds(),
    }
    whole = [seconds(lambda: ml.disassemble(source, train, **common)) for _ in range(5)]
    part = ml.disassemble(source, train, repair="none", **common)
    images = torch.cat([some for some, _ in train])[:1000]
    labels = torch.cat([numbers for _, numbers in train])[:1000]
    graph = ml.trace(source, images[:2])
    solving: list[float] = []

    def forwards() -> None:
        with torch.no_grad():
            for some in images.split(64):
                source(NORMAL(some))
                part(some)

    def refit() -> None:
        solving.append(0.0)
        ml.repair(part, source, [(images, labels)], graph=graph)

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        fit = ridge(*arguments)
        solving[-1] += time.perf_counter() - started
        return fit

    layerwise.ridge = timed  # type: ignore
    try:
        times = in_turns({"forwards": forwards, "repair": refit})
    finally:
        layerwise.ridge = ridge  # type: ignore
    without = sorted(
        (took - solved) / base
        for took, solved, base in zip(times["repair"], solving[1:], times["forwards"], strict=True)
    )
    return {
        "network": "zoo:vgg16, half width",
        "images": 1000,
        "seconds": {name: median(times, name) for name in times} | {"solves": sorted(solving[1:])[len(solving) // 2]},
        "repair without solves / forwards of both networks": without[len(without) // 2],
        "disassemble, seconds": sorted(whole)[len(whole) // 2],
    }

"""attribute beside a plain forward over the same images, ten classes in shuffled order, every image used."""

from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.attribution.timing import in_turns, median, ratio
from benchmarks.coverage.memory import Memory
from model_lego.graph.runner import running
from model_lego.models import build

#: Network, images at once, side in pixels, batches, and the bar that issue 4 sets.
CASES = (
    ("zoo:vgg16", 128, 32, 16, 1.30),
    ("zoo:googlenet", 128, 32, 4, 1.30),
    ("zoo:resnet50", 64, 32, 8, 1.45),
    ("torchvision:resnet50", 16, 224, 4, 1.30),
)
CLASSES, SEED = 10, 0


def case(name: str, batch: int, side: int, count: int, bar: float) -> dict[str, Any]:
    """One network: seconds, ratios, and peak memory of each: the weights, and what it took beyond them."""
    model, images, labels = material(name, batch * count, side)
    batches = list(zip(images.split(batch), labels.split(batch), strict=True))
    graph = ml.trace(model, images[:2])
    ready = running(graph.program, model)

    def forward() -> None:
        with torch.no_grad():
            for some, _ in batches:
                model(some)

    def run_alike() -> None:
        with torch.no_grad():
            for some, _ in batches:
                for part in ready.portions(some):
                    ready.run(part)

    def attribution() -> None:
        ml.attribute(model, batches, graph=graph, sampling="all")

    weights = sum(tensor.nbytes for tensor in model.state_dict().values()) / 2**20
    memory = {work.__name__: weights + Memory().of(work) / 1024 for work in (forward, attribution)}
    times = in_turns({"forward": forward, "forward run alike": run_alike, "attribute": attribution})
    return {
        "network": name,
        "batch": batch,
        "side": side,
        "images": batch * count,
        "seconds": {work: median(times, work) for work in times},
        "attribute / forward": ratio(times, "attribute", "forward"),
        "attribute / forward run alike": ratio(times, "attribute", "forward run alike"),
        "bar": bar,
        "peak_mib": memory | {"of which weights": weights},
    }


def material(name: str, count: int, side: int, classes: int = CLASSES) -> tuple[nn.Module, Tensor, Tensor]:
    """A network with random weights, images and shuffled labels."""
    torch.manual_seed(SEED)
    model = build(name, num_classes=classes).eval()
    return model, torch.randn(count, 3, side, side), torch.randperm(count) % classes


def classes_that_nobody_asked_for() -> dict[str, Any]:
    """Ten classes of networks that have 10, 100 and 1,000; and twice the images of one of them."""
    works, numbers = {}, (10, 100, 1000)
    for number in numbers:
        model, images, _ = material("zoo:vgg16", 512, 32, number)
        labels = torch.randperm(512) % CLASSES
        works[str(number)] = _attribution(model, images, labels)
    model, images, _ = material("zoo:vgg16", 1024, 32)
    works["10, twice the images"] = _attribution(model, images, torch.randperm(1024) % CLASSES)
    times = in_turns(works)
    return {name: ratio(times, name, "10") for name in works} | {"images": 512, "network": "zoo:vgg16"}


def _attribution(model: nn.Module, images: Tensor, labels: Tensor) -> Any:
    batches = list(zip(images.split(128), labels.split(128), strict=True))
    graph = ml.trace(model, images[:2])
    return lambda: ml.attribute(model, batches, graph=graph, classes=range(CLASSES), sampling="all")

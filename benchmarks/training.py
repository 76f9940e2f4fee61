"""`train` beside a plain loop on a CPU: images a second, with and without channels-last and bfloat16.

Random images and weights. The ways take turns, and the median over the rounds of the ratio to the plain loop of the
same round counts: times of a busy machine vary. The plain loop is what one writes by hand: a TensorDataset, a
DataLoader, random crop and flip of each image by torchvision, forward, backward, step.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

import model_lego as ml
from benchmarks.common import record
from model_lego.data.sets import in_memory
from model_lego.models import build

SEED, IMAGES, BATCH, ROUNDS = 0, 256, 128, 3
NETWORKS: dict[str, dict[str, Any]] = {
    "zoo:vgg16": {"width": 0.5},
    "zoo:resnet50": {"width": 0.25},
    "zoo:googlenet": {"width": 0.25},
}
WAYS: dict[str, dict[str, Any]] = {
    "train": {},
    "train, channels last": {"channels_last": True},
    "train, bfloat16": {"channels_last": True, "amp": True},
}


def main() -> None:
    """Run the benchmark."""
    generator = torch.Generator().manual_seed(SEED)
    pixels = torch.randint(0, 256, (IMAGES, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(IMAGES) % 10
    rows = {name: _network(name, arguments, pixels, labels) for name, arguments in NETWORKS.items()}
    record("training", {"seed": SEED, "images": IMAGES, "batch": BATCH, "rounds": ROUNDS, "networks": rows})


def _network(name: str, arguments: dict[str, Any], pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    torch.manual_seed(SEED)
    images = in_memory(pixels, labels)
    ways: dict[str, Callable[[nn.Module], object]] = {"plain loop": lambda model: _plain(model, pixels, labels)}
    for way, options in WAYS.items():
        settings = ml.TrainingSettings(epochs=1, batch_size=BATCH, **options)
        ways[way] = lambda model, settings=settings: ml.train(model, images, settings)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, run in ways.items():
            model = build(name, **arguments)
            started = time.perf_counter()
            run(model)
            if number:  # the first round warms up
                seconds[way].append(time.perf_counter() - started)
    plain = seconds["plain loop"]
    return {
        "images a second, plain loop": IMAGES / statistics.median(plain),
        "times the plain loop's": {
            way: statistics.median(p / took for p, took in zip(plain, seconds[way], strict=True)) for way in WAYS
        },
    }


def _plain(model: nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> None:
    """One epoch as one writes it by hand."""
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    model.train()
    for x, y in DataLoader(TensorDataset(pixels, labels), batch_size=BATCH, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(model(torch.stack([augment(image) for image in x]).float() / 255), y).backward()
        optimizer.step()


if __name__ == "__main__":
    main()

"""trace + attribute (50 images) + locate + cut of ResNet-50 at 32 x 32: seconds and peak memory, untrained weights."""

import resource
import time

import torch

import model_lego as ml
from benchmarks.common import record
from model_lego.models import build

SEED = 0


def main() -> None:
    """Run the benchmark."""
    torch.manual_seed(SEED)
    model = build("torchvision:resnet50", num_classes=10).eval()
    images = torch.randn(50, 3, 32, 32)
    labels = torch.arange(50) % 10
    batches = [(images, labels)]
    with torch.no_grad():
        model(images)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = {}
    started = time.perf_counter()
    graph = ml.trace(model, images)
    times["trace"] = time.perf_counter() - started
    stats = ml.attribute(model, batches, graph=graph, sampling="all")
    times["attribute"] = time.perf_counter() - started - times["trace"]
    middle = time.perf_counter()
    planned = ml.plan(model, batches, classes=[0, 1, 2], graph=graph, stats=stats)
    times["locate"] = time.perf_counter() - middle
    middle = time.perf_counter()
    component = ml.cut(model, planned)
    times["cut"] = time.perf_counter() - middle
    with torch.no_grad():
        runs = []
        for _ in range(5):
            middle = time.perf_counter()
            model(images)
            runs.append(time.perf_counter() - middle)
    total = time.perf_counter() - started - sum(runs)
    record(
        "resnet50",
        {
            "seed": SEED,
            "seconds": times | {"total": total, "plain_forward_50_images": sorted(runs)[2]},
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "memory_before_mib": before / 1024,
            "parameters_percent": 100
            * component.origin.cost_after.parameters
            / component.origin.cost_before.parameters,
        },
    )


if __name__ == "__main__":
    main()

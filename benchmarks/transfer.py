"""A component as the start for a related task with few images, beside a random start of its size and the full network.

The component for bird, cat and deer of a half-width VGG-16 (CIFAR-10, classes 0-4) becomes a classifier of dog, frog
and horse, of which the network has seen no image. All starts get a new last layer and are trained alike, on the same
images in the same order; test images are used for the figures alone.
"""

import copy
from dataclasses import replace

import torch
from torch import nn

import model_lego as ml
from benchmarks.common import record
from benchmarks.distillation import part
from benchmarks.trained import ABSENT, BATCH, FIRST, LAST, NORMAL, cifar10, opened
from model_lego.data import batches
from model_lego.data.sets import subset

KNOWN, NEW = ("bird", "cat", "deer"), ("dog", "frog", "horse")
#: Training images of each new class, and draws of them.
COUNTS, SEEDS = (10, 50), (0, 1, 2)
#: The settings of docs/how-to/start-from-a-component.md, but for what CIFAR-10 is trained with.
SETTINGS = ml.TrainingSettings(epochs=30, batch_size=10, learning_rate=0.02)


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    split, source = cifar10(), opened(FIRST)
    if split is None or source is None:
        print(f"transfer: skipped, {ABSENT}")
        return
    component, full = part(source, KNOWN), source.model
    starts = {"component": (component.module, False), "random": (component.module, True), "full network": (full, False)}
    numbers = [split.class_names.index(name) for name in NEW]
    test = [(NORMAL(x), labels) for x, labels in batches(subset(split.test, numbers), batch_size=BATCH)]
    accuracies: dict[str, dict[str, list[float]]] = {}
    for count in COUNTS:
        row = accuracies.setdefault(str(count), {name: [] for name in starts})
        for seed in SEEDS:
            images = subset(split.train, numbers, per_class=count, seed=seed)
            for name, (network, fresh) in starts.items():
                started = start(network, seed, fresh=fresh)
                trained = ml.train(started, images, replace(SETTINGS, seed=seed), preprocessing=NORMAL)
                row[name].append(accuracy(trained, test))
                print(count, seed, name, row[name][-1], flush=True)
    sizes = {name: sum(each.numel() for each in network.parameters()) for name, (network, _) in starts.items()}
    record("transfer", {"accuracy": accuracies, "parameters": sizes, "seeds": list(SEEDS), "epochs": SETTINGS.epochs})


def start(network: nn.Module, seed: int, *, fresh: bool) -> nn.Module:
    """A copy with a new last layer; `fresh`: with new values everywhere."""
    network = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        last = network.get_submodule(LAST)
        assert isinstance(last, nn.Linear)
        network.set_submodule(LAST, nn.Linear(last.in_features, len(NEW)))
        for layer in network.modules():
            if fresh and hasattr(layer, "reset_parameters"):
                layer.reset_parameters()  # type: ignore[operator]
    return network


@torch.no_grad()
def accuracy(network: nn.Module, test: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Share of the test images that are right, in %."""
    right = [network(x).argmax(1) == labels for x, labels in test]
    return 100 * float(torch.cat(right).double().mean())


if __name__ == "__main__":
    main()

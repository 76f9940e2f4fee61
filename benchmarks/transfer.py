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
from benchmarks.common import record, shared
from benchmarks.distillation import HALVES, part
from benchmarks.surgery import LAST
from benchmarks.zoo_vgg import NORMAL
from model_lego.data import batches, open_data
from model_lego.data.sets import subset
from model_lego.models import build, load_weights

KNOWN, NEW = ("bird", "cat", "deer"), ("dog", "frog", "horse")
#: Training images of each new class, and draws of them.
COUNTS, SEEDS = (10, 50), (0, 1, 2)
#: The settings of docs/how-to/start-from-a-component.md, but for what CIFAR-10 is trained with.
SETTINGS = ml.TrainingSettings(epochs=30, batch_size=10, learning_rate=0.02)
WEIGHTS = "zoo/vgg16-half-cifar10-0to4.safetensors"


def main() -> None:
    """Run the benchmark; says so where the data is absent."""
    data, weights = shared("data/cifar10-15k.npz"), shared(WEIGHTS)
    if data is None or weights is None:
        print("transfer: skipped, the trained network and CIFAR-10 are not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    component = part(split, str(weights), HALVES[0][1], KNOWN)
    full = load_weights(build("zoo:vgg16", num_classes=5, width=0.5), weights).eval()
    starts = {"component": (component.module, False), "random": (component.module, True), "full network": (full, False)}
    numbers = [split.class_names.index(name) for name in NEW]
    test = [(NORMAL(x), labels) for x, labels in batches(subset(split.test, numbers), batch_size=250)]
    found: dict[str, dict[str, list[float]]] = {}
    for count in COUNTS:
        row = found.setdefault(str(count), {name: [] for name in starts})
        for seed in SEEDS:
            images = subset(split.train, numbers, per_class=count, seed=seed)
            for name, (network, fresh) in starts.items():
                started = start(network, seed, fresh=fresh)
                trained = ml.train(started, images, replace(SETTINGS, seed=seed), preprocessing=NORMAL)
                row[name].append(accuracy(trained, test))
                print(count, seed, name, row[name][-1], flush=True)
    sizes = {name: sum(each.numel() for each in network.parameters()) for name, (network, _) in starts.items()}
    record("transfer", {"accuracy": found, "parameters": sizes, "seeds": list(SEEDS), "epochs": SETTINGS.epochs})


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

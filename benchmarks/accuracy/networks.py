"""Trained networks that several benchmarks open: of the zoo, and those that are kept with the results of the tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import model_lego as ml
from benchmarks.accuracy.material import NAMES, NORMAL
from benchmarks.common import ROOT, shared
from model_lego.models import build, load_weights
from model_lego.tables.recipe import task
from model_lego.tables.recipes import read_recipes

#: Where `tools/keep_weights.py` puts them.
KEPT = ROOT / "docs" / "results" / "sources"
RESNET20 = ml.Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network, its classes, and what it expects of an image."""

    model: nn.Module
    names: tuple[str, ...]
    normal: ml.Preprocessing


def zoo(file: str, network: str, names: tuple[str, ...], normal: ml.Preprocessing, **arguments: Any) -> Network | None:
    """A network of the zoo; None where that is not here."""
    weights = shared(f"zoo/{file}.safetensors")
    return None if weights is None else _network(network, weights, names, normal, arguments)


def kept(name: str) -> Network:
    """A network that the tables trained, by the name of its recipe."""
    recipe = read_recipes().materials["cpu"].sources[name]
    names = tuple(NAMES[number] for number in task(recipe.classes or "0-9"))
    normal = ml.Preprocessing(recipe.mean, recipe.std)
    return _network(recipe.network, KEPT / f"{name}.safetensors", names, normal, recipe.arguments)


def _network(
    network: str, weights: Path, names: tuple[str, ...], normal: ml.Preprocessing, arguments: Mapping[str, Any]
) -> Network:
    model = load_weights(build(network, num_classes=len(names), **arguments), str(weights)).eval()
    return Network(model.to(memory_format=torch.channels_last), names, normal)


#: What opens each network, or gives None where it is not here.
NETWORKS: dict[str, Callable[[], Network | None]] = {
    "vgg16-half-cifar10-0to4": partial(
        zoo, "vgg16-half-cifar10-0to4", "zoo:vgg16", NAMES[:5], NORMAL, width=0.5
    ),
    "resnet20-cifar10": partial(zoo, "resnet20-cifar10-akamaster", "zoo:resnet20", NAMES, RESNET20),
    "resnet50-quarter-cifar10-0to4": partial(kept, "resnet50-quarter-cifar10-0to4"),
    "googlenet-quarter-cifar10-0to4": partial(kept, "googlenet-quarter-cifar10-0to4"),
}  # fmt: skip

"""The trained networks, their graphs and statistics, and the images: opened once for all tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.common import shared
from model_lego.data import ImageSet, batches, open_data
from model_lego.data.batching import Batches, Mapped
from model_lego.data.sets import subset
from model_lego.models import build, load_weights
from model_lego.store import load_statistics, save_statistics

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
#: Classes of each network.
HALVES = (NAMES[:5], NAMES[5:])
NORMAL = ml.Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
#: Seeds of the calibration samples.
SEEDS = (0, 1, 2)
#: Calibration images of each class for heads.
A_CLASS = 50
#: Thresholds that cut nothing.
NOTHING = ml.Thresholds(0.0, 0.0, 0.0, 0.0)
BATCH = 250
ABSENT = "the trained networks and CIFAR-10 are not here (set MODEL_LEGO_SHARED)"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A trained network, its classes, its training images (0..1, labels being its own), graph and statistics."""

    model: nn.Module
    names: tuple[str, ...]
    train: Batches
    graph: ml.ChannelGraph
    stats: ml.ContributionStats

    def component(self, classes: Sequence[str], *, seed: int, **options: Any) -> ml.Component:
        """The component for some classes, repaired with a sample of the training images that the seed draws."""
        return ml.disassemble(
            self.model, self.train, classes=classes, class_names=self.names, graph=self.graph, stats=self.stats,
            preprocessing=NORMAL, seed=seed, **options,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Two networks of five classes each, and the images of all ten."""

    sources: tuple[Source, Source]
    train: ImageSet
    test: tuple[Tensor, Tensor]  # images in 0..1, places in NAMES

    def calibration(self, classes: Sequence[str], *, seed: int, per_class: int = A_CLASS) -> Batches:
        """A sample of the training images of some classes, labels being positions in `classes`."""
        return list(batches(subset(self.train, _numbers(classes), per_class=per_class, seed=seed), batch_size=BATCH))

    def test_of(self, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The test images of some classes, with their positions in `classes`."""
        places = torch.tensor([classes.index(name) if name in classes else -1 for name in NAMES])[self.test[1]]
        return self.test[0][places >= 0], places[places >= 0]

    def source_of(self, name: str) -> Source:
        """The network that has a class."""
        return next(source for source in self.sources if name in source.names)


def files() -> tuple[Path, list[Path]] | None:
    """The images and the trained networks; None where they are not here."""
    data = shared("data/cifar10-15k.npz")
    weights = [shared(f"zoo/vgg16-half-cifar10-{part}.safetensors") for part in ("0to4", "5to9")]
    found = [path for path in weights if path is not None]
    return None if data is None or len(found) < len(weights) else (data, found)


def opened(folder: Path) -> Material:
    """Open everything; the folder is where statistics are kept from one process to the next.

    Raises FileNotFoundError where the networks or CIFAR-10 are not here.
    """
    train, test = _sets()
    images, labels = zip(*batches(test, batch_size=BATCH), strict=True)
    return Material((source(0, folder), source(1, folder)), train, (torch.cat(images), torch.cat(labels)))


def source(number: int, folder: Path) -> Source:
    """One of the networks; its statistics are read from the folder, or measured and written to it."""
    weights, names = _files()[1][number], HALVES[number]
    model = load_weights(build("zoo:vgg16", num_classes=5, width=0.5), str(weights)).eval()
    model = model.to(memory_format=torch.channels_last)  # which its components inherit, and are faster
    own = list(batches(subset(_sets()[0], _numbers(names)), batch_size=BATCH))
    graph = ml.trace(model, own[0][0][:2])
    kept = folder / weights.stem
    if not kept.exists():
        save_statistics(ml.attribute(model, Mapped(own, NORMAL), graph=graph, class_names=names), kept)
    return Source(model, names, own, graph, load_statistics(kept))


@cache
def _sets() -> tuple[ImageSet, ImageSet]:
    split = open_data(_files()[0])
    numbers = [split.class_names.index(name) for name in NAMES]
    return subset(split.train, numbers), subset(split.test, numbers)


def _files() -> tuple[Path, list[Path]]:
    there = files()
    if there is None:
        raise FileNotFoundError(ABSENT)
    return there


def _numbers(names: Sequence[str]) -> list[int]:
    return [NAMES.index(name) for name in names]

"""The trained networks, their graphs and statistics, and the images: opened once for all tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks import trained
from benchmarks.trained import ABSENT, BATCH, NAMES, NORMAL
from model_lego.data import DataSplit, ImageSet, batches
from model_lego.data.batching import Batches, Mapped
from model_lego.data.sets import subset
from model_lego.store import load_statistics, save_statistics

#: The networks, by the names of their recipes.
NETWORKS = (trained.FIRST, trained.SECOND)
#: Seeds of the calibration samples.
SEEDS = (0, 1, 2)
#: Calibration images of each class for heads.
A_CLASS = 50
#: Thresholds that cut nothing.
NOTHING = ml.Thresholds(0.0, 0.0, 0.0, 0.0)


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
            self.model,
            self.train,
            classes=classes,
            class_names=self.names,
            graph=self.graph,
            stats=self.stats,
            preprocessing=NORMAL,
            seed=seed,
            **options,
        )


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


def is_here() -> bool:
    """Whether the images and the trained networks are here."""
    return all(trained.opened(name) for name in NETWORKS)


def opened(folder: Path) -> Material:
    """Open everything; the folder is where statistics are kept from one process to the next.

    Raises FileNotFoundError where the networks or CIFAR-10 are not here.
    """
    split = _split()
    images, labels = zip(*batches(split.test, batch_size=BATCH), strict=True)
    return Material((source(0, folder), source(1, folder)), split.train, (torch.cat(images), torch.cat(labels)))


def source(number: int, folder: Path) -> Source:
    """One of the networks; its statistics are read from the folder, or measured and written to it."""
    opened = trained.opened(NETWORKS[number], memory_format=torch.channels_last)  # its components are faster so
    if opened is None:
        raise FileNotFoundError(ABSENT)
    model, names, own = opened.model, opened.names, list(opened.train)
    graph = ml.trace(model, own[0][0][:2])
    kept = folder / NETWORKS[number]
    if not kept.exists():
        save_statistics(ml.attribute(model, Mapped(own, NORMAL), graph=graph, class_names=names), kept)
    return Source(model, names, own, graph, load_statistics(kept))


def _split() -> DataSplit:
    split = trained.cifar10()
    if split is None:
        raise FileNotFoundError(ABSENT)
    return split


def _numbers(names: Sequence[str]) -> list[int]:
    return [NAMES.index(name) for name in names]

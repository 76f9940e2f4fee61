"""Trained networks, cut for three of their classes at the default thresholds, and images to repair and measure them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.accuracy.figures import run
from benchmarks.trained import BATCH, FIRST
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of
from model_lego.data import ImageSet, batches
from model_lego.repairing.refitting import repair_cut
from model_lego.tables.bench import Source

#: Networks that are measured, by the names of their results, and of their recipes.
NETWORKS = {
    FIRST: FIRST,
    "resnet20-cifar10": "resnet20-cifar10-akamaster",
    "resnet50-quarter-cifar10-0to4": "resnet50-quarter-cifar10-0to4",
    "googlenet-quarter-cifar10-0to4": "googlenet-quarter-cifar10-0to4",
}
#: Training images of each class that are measured on; the others are calibration images.
HELD = 300
#: Which of its classes a network is cut for: bird, cat and deer, or horse, ship and truck.
CUT_FOR = slice(2, 5)


@dataclass(frozen=True, eq=False)
class Case:
    """A network cut for some classes at the default thresholds, images to repair it with, and held-out ones."""

    classes: tuple[str, ...]
    columns: tuple[int, ...]  # their logits in the source
    made: Cut
    own: Tensor  # calibration images of the classes, in random order
    every: Tensor  # of all classes of the network
    held: Tensor
    places: Tensor

    @property
    def parameters_percent(self) -> float:
        """Size of the cut network in % of the source."""
        return 100 * self.made.cost().parameters / sum(each.numel() for each in self.made.source.parameters())

    def accuracy(self, images: Tensor, *settings: ml.RepairSettings) -> float:
        """Accuracy in % on the held-out images after repairs, one after the other."""
        repaired = self.made.copy()
        for each in settings:
            repaired, _ = repair_cut(repaired, images, each)
        return self.right(repaired.module)

    def right(self, module: nn.Module) -> float:
        """Accuracy in % of a cut network on the held-out images."""
        return self._right(self._logits(module))

    def restricted(self) -> float:
        """The same of the uncut source over these logits."""
        return self._right(self._logits(self.made.source)[:, list(self.columns)])

    def _logits(self, module: nn.Module) -> Tensor:
        logits: Tensor = run(module.to(memory_format=torch.channels_last), self.held)
        return logits

    def _right(self, logits: Tensor) -> float:
        return 100 * float((logits.argmax(1) == self.places).double().mean())


def case_of(trained: Source) -> Case:
    """Cut a network for three of its classes."""
    source, names = trained.model, trained.names
    classes = names[CUT_FOR]
    images, labels, rank = _shuffled(trained)
    wanted = torch.tensor([names.index(each) for each in classes])
    mine, spare = torch.isin(labels, wanted), rank >= HELD
    graph = ml.trace(source, images[:2])
    feed = list(zip(images[spare].split(BATCH), labels[spare].split(BATCH), strict=True))
    stats = ml.attribute(source, feed, graph=graph, classes=wanted.tolist())
    selection = ml.locate(graph, stats, classes=wanted.tolist())
    module = slice_model(source, graph, selection).module.eval()
    made = cut_of(module, source, graph, selection, images[:2])
    held = mine & ~spare
    return Case(
        classes=classes,
        columns=tuple(wanted.tolist()),
        made=made,
        own=images[mine & spare],
        every=images[spare],
        held=images[held],
        places=(labels[held, None] == wanted).int().argmax(1),
    )


def _shuffled(trained: Source) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised images of a network's classes in random order, their labels, and each one's number among its class."""
    chosen = trained.split.train
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))
    chosen = ImageSet(chosen.labels[order], chosen.image, chosen.numbers[order])
    images, labels = (torch.cat(column) for column in zip(*batches(chosen, batch_size=BATCH), strict=True))
    rank = torch.zeros(len(labels), dtype=torch.int64)
    for label in range(len(trained.names)):
        rank[labels == label] = torch.arange(int((labels == label).sum()))
    return trained.preprocessing(images), labels, rank

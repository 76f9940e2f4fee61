"""Repair at the default cuts of several networks, on held-out training images: methods, images, options.

The half-width VGG-16 of the zoo, and networks that `model-lego train` left in folders of `--sources`. No test image is
looked at.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.accuracy.figures import run
from benchmarks.accuracy.material import BATCH, NAMES, NORMAL
from model_lego.data import ImageSet, batches
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.program import Program
from model_lego.progress import quiet
from model_lego.refitting import refit_module
from model_lego.surgery.slicing import slice_model
from model_lego.surgery.verification import program_of

CLASSES = ("bird", "cat", "deer")
#: Training images of each class that are measured on; the others are calibration images.
HELD = 400
COUNTS = (10, 30, 100, 300, 1000, 3000)
#: Networks in folders of `--sources`.
FOLDERS = ("r50-0to4", "goog-0to4")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A network cut for the classes, images to repair it with, and held-out ones."""

    name: str
    source: nn.Module
    graph: ChannelGraph
    selection: ChannelSelection
    cut: nn.Module
    program: Program
    own: Tensor  # calibration images of the classes, in random order
    every: Tensor  # of all classes of the network
    held: Tensor
    places: Tensor

    def accuracy(self, images: Tensor, *settings: ml.RepairSettings) -> float:
        """Accuracy in % on the held-out images after repairs, one after the other."""
        module, program = deepcopy(self.cut), self.program
        for each in settings:
            program, _ = refit_module(
                module, program, self.source, self.graph, self.selection, images, each, quiet
            )  # fmt: skip
        return self._right(module, list(range(len(CLASSES))))

    def restricted(self, columns: Sequence[int]) -> float:
        """The same of the uncut source over these logits."""
        return self._right(self.source, columns)

    def _right(self, module: nn.Module, columns: Sequence[int]) -> float:
        logits = run(module.to(memory_format=torch.channels_last), self.held)[:, list(columns)]
        return 100 * float((logits.argmax(1) == self.places).double().mean())


def opened(name: str, source: nn.Module, names: Sequence[str], train: ImageSet) -> Case:
    """Cut a network at the default thresholds; `train` has the labels of NAMES."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(train), generator=generator)
    rank = torch.zeros(len(train), dtype=torch.int64)
    for label in range(len(NAMES)):
        mine = order[train.labels[order] == label]
        rank[mine] = torch.arange(len(mine))
    wanted = torch.tensor([names.index(each) if each in names else -1 for each in NAMES])
    places = wanted[train.labels]

    def some(mask: Tensor) -> tuple[Tensor, Tensor]:
        where = order[mask[order]]
        chosen = ImageSet(places[where], train.image, train.numbers[where])
        images, labels = zip(*batches(chosen, batch_size=BATCH), strict=True)
        return NORMAL(torch.cat(images)), torch.cat(labels)

    ours = torch.tensor([names.index(each) for each in CLASSES])
    mine = torch.isin(places, ours)
    every, labels = some((places >= 0) & (rank >= HELD))
    held, answers = some(mine & (rank < HELD))
    graph = ml.trace(source, every[:2])
    feed = list(zip(every.split(BATCH), labels.split(BATCH), strict=True))
    stats = ml.attribute(source, feed, graph=graph, classes=ours.tolist())
    selection = ml.locate(graph, stats, classes=ours.tolist())
    module = slice_model(source, graph, selection).module.eval()
    program, _ = program_of(module, graph, selection, every[:2])
    answers = (answers[:, None] == ours).int().argmax(1)
    own = every[torch.isin(labels, ours)]
    return Case(name, source, graph, selection, module, program, own, every, held, answers)

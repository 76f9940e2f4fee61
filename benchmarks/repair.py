"""Repair at the default cuts of several networks, on held-out training images: methods, images, options.

The half-width VGG-16 of the zoo, and networks that `model-lego train` left in folders of `--sources`. No test image is
looked at.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.accuracy import page
from benchmarks.accuracy.figures import run
from benchmarks.accuracy.material import BATCH, NAMES, NORMAL
from benchmarks.common import record, shared
from model_lego.data import ImageSet, batches, open_data
from model_lego.data.sets import subset
from model_lego.graph.program import Program
from model_lego.models import build, load_weights
from model_lego.progress import quiet
from model_lego.refitting import refit_module
from model_lego.surgery.slicing import slice_model
from model_lego.surgery.verification import program_of

#: Training images of each class that are measured on; the others are calibration images.
HELD = 300
#: Numbers of calibration images; of fewer than a hundred, three samples.
COUNTS = (10, 30, 100, 300, 1000, 3000)
FEW = 100
#: Calibration images of the other comparisons.
IMAGES = 300
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ROWS = (3, 5, 10, 20)
#: Folders of `--sources`: what `model-lego train` wrote there.
FOLDERS = ("r50-0to4", "goog-0to4", "r50-5to9", "goog-5to9")
ONE, MEAN, BN = (ml.RepairSettings(), ml.RepairSettings("mean"), ml.RepairSettings("bn"))
METHODS: dict[str, tuple[ml.RepairSettings, ...]] = {
    "none": (),
    "mean folding": (MEAN,),
    "BatchNorm re-estimation": (BN,),
    "mean folding, then BatchNorm": (MEAN, BN),
    "BatchNorm, then ridge": (BN, ONE),
    "ridge": (ONE,),
    "ridge, then BatchNorm": (ONE, BN),
}


def main(sources: str | None = None) -> None:
    """Run the benchmark; says what is skipped, and why."""
    data = shared("data/cifar10-15k.npz")
    if data is None:
        print("repair: skipped, CIFAR-10 is not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    train = subset(split.train, [split.class_names.index(name) for name in NAMES])
    for name, opener in networks(sources):
        source = opener()
        if isinstance(source, str):
            print(f"repair: {name} skipped, {source}", flush=True)
            note(name, page.last("repair").get(name) or {"skipped": source})
            continue
        found: dict[str, Any] = {}
        for more in measured(opened(*source, train)):
            print(name, more, flush=True)
            found |= more
            note(name, found)


def note(name: str, found: dict[str, Any]) -> None:
    """Record what was found for a network so far, and write the page."""
    record("repair", {"tables": page.last("repair") | {name: found}, "held_out_a_class": HELD}, show=False)
    page.write()


def networks(sources: str | None) -> Iterator[tuple[str, Callable[[], tuple[nn.Module, tuple[str, ...]] | str]]]:
    """Names of networks, and what opens each: gives it with its classes, or the reason why not."""
    yield "vgg16-0to4", zoo
    for folder in FOLDERS:
        yield folder, partial(trained, folder, sources)


def zoo() -> tuple[nn.Module, tuple[str, ...]] | str:
    """The half-width VGG-16."""
    weights = shared("zoo/vgg16-half-cifar10-0to4.safetensors")
    if weights is None:
        return "the zoo is not here (set MODEL_LEGO_SHARED)"
    return load_weights(build("zoo:vgg16", num_classes=5, width=0.5), str(weights)).eval(), NAMES[:5]


def trained(folder: str, sources: str | None) -> tuple[nn.Module, tuple[str, ...]] | str:
    """A network that `model-lego train` wrote."""
    path = None if sources is None else Path(sources) / folder
    if path is None or not (path / "training.json").is_file():
        return "not in the folder of --sources" if path else "no --sources given"
    notes = json.loads((path / "training.json").read_text())
    model = load_weights(build(notes["network"], **notes["arguments"]), str(path / "model.safetensors")).eval()
    return model, tuple(notes["classes"])


def measured(case: "Case") -> Iterator[dict[str, Any]]:
    """All comparisons for one network, table by table."""
    own = case.own[:IMAGES]
    yield {
        "classes": list(case.classes),
        "restricted": case.restricted(),
        "parameters_percent": case.parameters_percent,
        "held_out_images": len(case.held),
        "images": IMAGES,
        "methods": {name: [case.accuracy(own, *settings)] for name, settings in METHODS.items()},
    }
    for pool, images in (("of its classes", case.own), ("of any class of the source", case.every)):
        yield {
            pool: {
                str(count): [case.accuracy(images[sample * count :][:count], ONE) for sample in range(samples(count))]
                for count in COUNTS
            }
        }
    strengths = {str(value): [case.accuracy(own, ml.RepairSettings(strength=value))] for value in STRENGTHS}
    yield {"strength": strengths}
    yield {"rows": {str(rows): [case.accuracy(own, ml.RepairSettings(rows=rows, least_rows=1))] for rows in ROWS}}


def samples(count: int) -> int:
    """How many samples of this many images are tried."""
    return 3 if count < FEW else 1


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A network cut for some classes at the default thresholds, images to repair it with, and held-out ones."""

    classes: tuple[str, ...]
    columns: tuple[int, ...]  # their logits in the source
    source: nn.Module
    graph: ml.ChannelGraph
    selection: ml.ChannelSelection
    cut: nn.Module
    program: Program
    own: Tensor  # calibration images of the classes, in random order
    every: Tensor  # of all classes of the network
    held: Tensor
    places: Tensor

    @property
    def parameters_percent(self) -> float:
        """Size of the cut network in % of the source."""
        mine, all_ = (sum(each.numel() for each in model.parameters()) for model in (self.cut, self.source))
        return 100 * mine / all_

    def accuracy(self, images: Tensor, *settings: ml.RepairSettings) -> float:
        """Accuracy in % on the held-out images after repairs, one after the other."""
        module, program = deepcopy(self.cut), self.program
        for each in settings:
            program, _ = refit_module(
                module, program, self.source, self.graph, self.selection, images, each, quiet
            )  # fmt: skip
        return self._right(module, range(len(self.classes)))

    def restricted(self) -> float:
        """The same of the uncut source over these logits."""
        return self._right(self.source, self.columns)

    def _right(self, module: nn.Module, columns: Sequence[int]) -> float:
        logits = run(module.to(memory_format=torch.channels_last), self.held)[:, list(columns)]
        return 100 * float((logits.argmax(1) == self.places).double().mean())


def opened(source: nn.Module, names: Sequence[str], train: ImageSet) -> Case:
    """Cut a network for three of its classes; `train` has the labels of NAMES."""
    classes = tuple(names[-3:])
    images, labels, rank = _shuffled(train, names)
    wanted = torch.tensor([names.index(each) for each in classes])
    mine, spare = torch.isin(labels, wanted), rank >= HELD
    graph = ml.trace(source, images[:2])
    feed = list(zip(images[spare].split(BATCH), labels[spare].split(BATCH), strict=True))
    stats = ml.attribute(source, feed, graph=graph, classes=wanted.tolist())
    selection = ml.locate(graph, stats, classes=wanted.tolist())
    module = slice_model(source, graph, selection).module.eval()
    program, _ = program_of(module, graph, selection, images[:2])
    held = mine & ~spare
    return Case(
        classes=classes,
        columns=tuple(wanted.tolist()),
        source=source,
        graph=graph,
        selection=selection,
        cut=module,
        program=program,
        own=images[mine & spare],
        every=images[spare],
        held=images[held],
        places=(labels[held, None] == wanted).int().argmax(1),
    )


def _shuffled(train: ImageSet, names: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised images of some classes in random order, their labels, and each one's number among its class."""
    chosen = subset(train, [NAMES.index(name) for name in names])
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))
    chosen = ImageSet(chosen.labels[order], chosen.image, chosen.numbers[order])
    images, labels = (torch.cat(column) for column in zip(*batches(chosen, batch_size=BATCH), strict=True))
    rank = torch.zeros(len(labels), dtype=torch.int64)
    for label in range(len(names)):
        rank[labels == label] = torch.arange(int((labels == label).sum()))
    return NORMAL(images), labels, rank

"""Cut, repair, fine-tune and measure everyone at equal multiply-adds."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks.compression.rivals import Rival, rivals
from benchmarks.trained import BATCH, FIRST, LAST, NORMAL, opened
from model_lego.budgets.criteria import CRITERIA, Context
from model_lego.budgets.search import SENSED, shrinking
from model_lego.budgets.sensitivity import sense
from model_lego.budgets.settings import CutSettings
from model_lego.budgets.trials import Trials
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of
from model_lego.data import batches
from model_lego.data.batching import drawn, prepared
from model_lego.data.sets import ImageSet, subset
from model_lego.digest import packed
from model_lego.repairing.refitting import CALIBRATION, repair_cut

#: Criteria of ours beside reconstruction, at the widths of reconstruction.
OTHERS = ("fpgm", "hrank", "magnitude", "taylor", "random")
#: A short fine-tuning, the same for everybody, and the training images a class that it sees.
TUNING = ml.TrainingSettings(epochs=2, batch_size=64, learning_rate=0.02, channels_last=True)
TUNING_IMAGES = 500
#: Equal multiply-adds: within this share of the limit.
ALIKE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A trained network with its images, labelled as it labels them; test images are ready to run.

    `train` are those of the fine-tuning, `feed` are batches of all training images.
    """

    source: nn.Module
    graph: ml.ChannelGraph
    head: str
    train: ImageSet
    feed: list[tuple[Tensor, Tensor]]
    test: tuple[Tensor, Tensor]

    def accuracy(self, module: nn.Module) -> float:
        """Accuracy in % on the test images."""
        images, labels = self.test
        module = deepcopy(module).eval().to(memory_format=torch.channels_last)
        with torch.no_grad():
            answers = torch.cat([module(some).argmax(1) for some in images.split(50)])
        return 100 * float((answers == labels).double().mean())

    def tuned(self, module: nn.Module, seed: int) -> float:
        """Accuracy in % after fine-tuning a copy."""
        settings = replace(TUNING, seed=seed)
        return self.accuracy(ml.train(deepcopy(module), self.train, settings, preprocessing=NORMAL))


def open_bench() -> Bench | None:
    """The half-width VGG-16 of the zoo with the images of its five classes; None where they are absent."""
    source = opened(FIRST)
    if source is None:
        return None
    split, model = source.split, source.model
    feed = list(prepared(source.train, NORMAL))
    images, labels = zip(*prepared(batches(split.test, batch_size=BATCH), NORMAL), strict=True)
    given = torch.cat(images).to(memory_format=torch.channels_last)
    few = subset(split.train, range(len(source.names)), per_class=TUNING_IMAGES)
    return Bench(model, ml.trace(model, feed[0][0][:2]), LAST, few, feed, (given, torch.cat(labels)))


def measured(
    bench: Bench, sizes: tuple[float, ...], seed: int, tuned: tuple[float, ...] = ()
) -> Iterator[dict[str, Any]]:
    """A row for everyone at each size (share of the multiply-adds), with one sample of calibration images.

    With its own widths it is fine-tuned as well, where the size is among `tuned`. Raises AssertionError where the
    costs are not equal.
    """
    everyone, images = _everyone(bench, seed)
    for size in sizes:
        budget = ml.Budget(macs=size)
        for rival in everyone:
            gone = rival.way.within_budget(budget)
            cost, whole, selection = rival.way.cost(gone), rival.way.whole, rival.way.after(gone)
            assert (1 - ALIKE) * size <= cost.macs / whole.macs <= size, (rival.name, rival.widths, size, cost)
            cut, repaired = _made(bench, rival, selection, images, budget, seed)
            row = {
                "criterion": rival.name,
                "widths": rival.widths,
                "size": size,
                "seed": seed,
                "macs_percent": 100 * cost.macs / whole.macs,
                "parameters_percent": 100 * cost.parameters / whole.parameters,
                "cut": bench.accuracy(cut),
                "repaired": bench.accuracy(repaired),
            }
            if size in tuned and rival.own:
                row |= {"cut_tuned": bench.tuned(cut, seed), "repaired_tuned": bench.tuned(repaired, seed)}
            yield row


def _everyone(bench: Bench, seed: int) -> tuple[list[Rival], Tensor]:
    """All ways, and the images that scores and repair see: those that `compress` draws with this seed."""
    classes = tuple(range(len(bench.graph.head)))
    sample = drawn(
        bench.feed,
        classes,
        shape=bench.graph.program.image_shape,
        labels=len(classes),
        limit=2 * CALIBRATION,
        seed=seed,
    )
    images, labels, half = sample.images, sample.labels, len(sample.images) // 2
    seen, held = images[:half], images[half:]
    settings = CutSettings(seed=seed)
    tried = Trials(bench.source, bench.graph, classes, seen, held, labels[half:], packed(sample.digests), settings)
    way = shrinking(tried, ml.Budget(macs=0.5))
    senses = sense(bench.source, bench.graph, seen[:SENSED], classes=classes, seed=seed)
    context = Context(bench.source, bench.graph, classes, seen[:SENSED], senses, seed=seed)
    ours = {name: CRITERIA[name].score(context) for name in OTHERS}
    return rivals(way, ours, seen, labels[:half], head=bench.head, seed=seed), seen


def _made(
    bench: Bench, rival: Rival, selection: ml.ChannelSelection, images: Tensor, budget: ml.Budget, seed: int
) -> tuple[nn.Module, nn.Module]:
    """The network cut, and cut and repaired; that of compress as the verb makes it."""
    cut = slice_model(bench.source, bench.graph, selection).module.eval()
    if rival.compress:
        return cut, ml.compress(bench.source, bench.feed, budget, graph=bench.graph, seed=seed).module.eval()
    module = deepcopy(cut)
    repair_cut(cut_of(module, bench.source, bench.graph, selection, images[:2]), images, ml.RepairSettings(seed=seed))
    return cut, module

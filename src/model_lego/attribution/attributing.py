"""attribute: the contributions of every layer, summed over the samples of each class."""

from collections.abc import Iterable, Iterator
from typing import Unpack

import torch
from torch import Tensor, nn

from model_lego.attribution.reading import ALONE, Reading
from model_lego.attribution.sampling import Choice, SampleChoice, SampleOptions, choose, chosen, gathered
from model_lego.attribution.statistics import ContributionStats
from model_lego.attribution.summing import Summer
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches
from model_lego.digest import digest_of
from model_lego.errors import BadConfig, EmptySelection
from model_lego.graph import ChannelGraph
from model_lego.graph.runner import Running, running
from model_lego.parts.class_names import Classes, ClassNames, fitting, label_numbers, unnamed
from model_lego.parts.wrappers import unwrapped
from model_lego.processes import Group, add_up, in_all, place_in
from model_lego.progress import Progress, quiet


def attribute(
    model: nn.Module,
    batches: Batches,
    *,
    graph: ChannelGraph,
    classes: Classes | None = None,
    progress: Progress = quiet,
    group: Group = None,
    **options: Unpack[SampleOptions],
) -> ContributionStats:
    """Sum the contributions of every layer over samples of each class (equations 1-3, s+ taken for each sample).

    `classes` are label numbers, all of the network's by default; memory grows with these only. Depthwise layers are
    left out: each of their channels has one input. Which samples: `sampling` ("confident", "random" by `seed`, or
    "all") and `per_class`, as many of each class. `class_names` are for messages alone. With a `group` of
    torch.distributed, every process of which makes this call with the same batches, each reads its share of them and
    all get the same sums. Raises BadBatches, BadConfig, EmptySelection, ProcessFailed, ShapeMismatch, UnknownClass.
    """
    refuse_unknown("attribute", options, SampleOptions)
    samples, reading = value_of(SampleChoice, options), Reading(progress, group)
    model, classes = unwrapped(model), asked_for(graph, classes, samples.class_names)
    choice = choose(model, graph, batches, classes=classes, samples=samples, reading=reading)
    return sum_up(model, batches, choice, graph=graph, classes=classes, samples=samples, reading=reading)


def asked_for(graph: ChannelGraph, classes: Classes | None, names: ClassNames | None = None) -> tuple[int, ...]:
    """Label numbers of classes, all of the network's by default; raises UnknownClass, EmptySelection."""
    known = unnamed(len(graph.head)) if names is None else fitting(names, len(graph.head))
    return label_numbers(range(len(known)) if classes is None else classes, known, owner="network")


def sum_up(
    model: nn.Module,
    batches: Batches,
    choice: Choice | None,
    *,
    graph: ChannelGraph,
    classes: tuple[int, ...],
    samples: SampleChoice,
    reading: Reading = ALONE,
) -> ContributionStats:
    """Sum over the chosen samples of some classes, all their samples where no choice was made."""
    summer = Summer(model, graph, classes)
    shape, labels, share = graph.program.image_shape, len(graph.head), place_in(reading.group)
    images = chosen(batches, choice, shape=shape, labels=labels, classes=classes, share=share)
    total = sum(choice.of(classes).values()) if choice else None
    in_all(lambda: _read(running(graph.program, model), gathered(images), summer, total, reading), reading.group)
    add_up(summer.tensors(), reading.group)
    empty = [label for label, count in zip(classes, summer.counts.tolist(), strict=True) if not count]
    if empty:
        raise EmptySelection(samples.no_samples(empty))
    return ContributionStats(
        classes=classes,
        counts=tuple(summer.counts.tolist()),
        layers=summer.layers(),
        sampling=samples.sampling,
        source=digest_of(model),
        fallbacks=tuple(label for label in choice.fallbacks if label in classes) if choice is not None else (),
    )


def _read(
    network: Running,
    samples: Iterable[tuple[Tensor, Tensor]],
    summer: Summer,
    total: int | None,
    reading: Reading,
) -> None:
    """Run the network over the samples while the summer listens; what was noted is not run again."""
    progress, notes = reading.progress, reading.notes
    noted = notes.read("sums")
    skipped = summer.resume(noted) if noted is not None else 0
    done = 0
    with torch.no_grad():
        for images, labels in _portions(network, samples):
            if done < skipped < done + len(images):
                raise BadConfig("what was noted was summed in other portions; start anew")
            if done >= skipped:
                if summer.full:
                    summer.flush()
                    notes.write("sums", summer.state)  # held samples are not noted: the same sums come out either way
                summer.begin(images, labels)
                network.run(images, summer)
            done += len(images)
            progress("summing contributions", done, total)
    progress("summing contributions", done, done)


def _portions(network: Running, samples: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    for images, labels in samples:
        portions = network.portions(images)
        yield from zip(portions, labels.split(len(portions[0])), strict=True)

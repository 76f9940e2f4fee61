"""collect: the statistics of any number of classes, written to a folder as they are summed.

Classes are taken in groups whose sums fit into memory; each sample runs once, in the pass of its own class. What is
done lies in a folder beside, from which an interrupted run goes on and ends with the same bytes.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from model_lego.attribution import ContributionStats
from model_lego.attribution.attributing import asked_for, sum_up
from model_lego.attribution.reading import Reading
from model_lego.attribution.sampling import SampleChoice, SampleOptions, choose, fingerprint
from model_lego.attribution.summing import Summer, bytes_a_class
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches, checked
from model_lego.digest import digest_of
from model_lego.errors import BadConfig, OutputExists
from model_lego.graph import ChannelGraph
from model_lego.parts.class_names import Classes
from model_lego.parts.wrappers import unwrapped
from model_lego.processes import Group, in_all, place_in
from model_lego.progress import Progress, quiet
from model_lego.store.checkpoint import SECONDS, Notebook
from model_lego.store.outputs import writing
from model_lego.store.replacing import check_out, replacing
from model_lego.store.statistics import load_statistics, seal, shard_names, write_shard

#: Bytes of sums that are held at once.
MEMORY = 1 << 28
#: The file that says which run it is.
RUN = "run.json"


class CollectOptions(SampleOptions, total=False):
    """Keyword arguments of `collect`: which samples, and how the sums are kept."""

    memory: int  # bytes of sums that are held at once
    seconds: float  # between two notes of the state
    resume: bool  # go on with an interrupted run
    overwrite: bool  # replace the folder, if it is one of statistics


@dataclass(frozen=True, slots=True)
class _Keeping:
    """How sums are kept while they grow, as `CollectOptions` say."""

    memory: int = MEMORY
    seconds: float = SECONDS
    resume: bool = False
    overwrite: bool = False


def collect(
    model: nn.Module,
    batches: Batches,
    folder: str | Path,
    *,
    graph: ChannelGraph,
    classes: Classes | None = None,
    progress: Progress = quiet,
    group: Group = None,
    **options: Unpack[CollectOptions],
) -> ContributionStats:
    """Sum contributions as `attribute` does, into a folder of saved statistics; they are mapped, not held.

    `memory` bounds the bytes of sums that are held at once: with more classes than fit, the batches are read again for
    each group of classes, but each sample runs through the network once. Every `seconds` the state goes into
    `FOLDER.unfinished`; with `resume` an interrupted run goes on from there, given the same batches, and ends with the
    same bytes. Processes of a `group` have to see one file system. Raises CannotWrite, OutputExists, BadConfig (the
    unfinished run is another one), and what `attribute` raises.
    """
    refuse_unknown("collect", options, CollectOptions)
    samples, keeping = value_of(SampleChoice, options), value_of(_Keeping, options)
    folder, model = Path(folder), unwrapped(model)
    classes = asked_for(graph, classes, samples.class_names)
    size = max(1, keeping.memory // bytes_a_class(model, graph))
    groups = [classes[start : start + size] for start in range(0, len(classes), size)]
    rank, count = place_in(group)
    beside = folder.with_name(f"{folder.name}.unfinished")
    settings = {
        "source": digest_of(model),
        "classes": list(classes),
        "sampling": samples.sampling,
        "per_class": samples.per_class,
        "seed": samples.seed,
        "group": size,
        "processes": count,
        "threads": torch.get_num_threads(),
        "first image": _first(graph, batches),
    }
    files = [beside / name for name in shard_names(len(groups))]
    needs = len(classes) * bytes_a_class(model, graph)
    notes = Notebook(beside / f"process-{rank}", seconds=keeping.seconds)
    reading = Reading(progress, group, notes)

    def note_down(stats: ContributionStats, file: Path) -> None:
        notes.write(file.stem, lambda: {"counts": torch.tensor(stats.counts)}, now=True)
        write_shard(stats, file, first=file == files[0])

    def finish() -> None:
        layers, fallbacks = Summer(model, graph, ()).layers(), choice.fallbacks if choice is not None else ()
        counts = [count for file in files for count in (notes.read(file.stem) or {})["counts"].tolist()]
        whole = ContributionStats(classes, tuple(counts), layers, samples.sampling, str(settings["source"]), fallbacks)
        _put_together(whole, folder, files, overwrite=keeping.overwrite)

    with _beside(folder, beside, settings, keeping, needs, group):
        choice = choose(model, graph, batches, classes=classes, samples=samples, reading=reading)
        for some, file in zip(groups, files, strict=True):
            if not in_all(file.exists, group)[0]:
                stats = sum_up(model, batches, choice, graph=graph, classes=some, samples=samples, reading=reading)
                in_all(partial(note_down, stats, file) if rank == 0 else _nothing, group)
                del stats  # these sums go before the next ones are held
            notes.remove("sums")
        in_all(finish if rank == 0 else _nothing, group)
    return load_statistics(folder)


def _nothing() -> None:
    """What the other processes do while the first one writes."""


def _first(graph: ChannelGraph, batches: Batches) -> str:
    """The fingerprint of the first image, by which other data is noticed."""
    images, labels = next(checked(batches, shape=graph.program.image_shape, labels=len(graph.head)))
    return fingerprint(images[0], int(labels[0])).hex()


@contextmanager
def _beside(
    folder: Path, beside: Path, settings: dict[str, Any], keeping: _Keeping, needs: int, group: Group
) -> Iterator[None]:
    """Keep the folder of the unfinished run, if it comes to an end before its time and something was noted."""
    first = place_in(group)[0] == 0
    opening = partial(_open, folder, beside, settings, keeping, needs)
    in_all(opening if first else _nothing, group)
    try:
        yield
    except BaseException:
        if first and [path.name for path in beside.iterdir()] == [RUN]:
            shutil.rmtree(beside)
        raise


def _open(folder: Path, beside: Path, settings: dict[str, Any], keeping: _Keeping, needs: int) -> None:
    """Make the folder of the unfinished run, or see that the one that is there is of this run."""
    check_out(folder, overwrite=keeping.overwrite, needs=needs)
    page = beside / RUN
    if not beside.exists():
        with writing(beside):
            beside.mkdir(parents=True)
            page.write_text(json.dumps(settings), encoding="utf-8")
        return
    if not keeping.resume:
        raise OutputExists(
            f"{beside} holds an interrupted run: go on with it (resume=True), or remove it to start anew"
        )
    try:
        noted = json.loads(page.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadConfig(f"{page} cannot be read ({error}); remove {beside} to start anew") from error
    other = [name for name, value in settings.items() if noted.get(name) != value]
    if other:
        raise BadConfig(f"{beside} is of another run: {', '.join(other)} differ; remove it to start anew")


def _put_together(whole: ContributionStats, folder: Path, files: Sequence[Path], *, overwrite: bool) -> None:
    """Put the shards into the folder of the result, which then replaces that of the unfinished run."""
    with replacing(folder, overwrite=overwrite) as fresh:
        for file in files:
            os.link(file, fresh / file.name)
        seal(whole, [fresh / file.name for file in files])
    shutil.rmtree(files[0].parent)

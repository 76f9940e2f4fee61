"""How long parts take in runtimes, beside their uncut sources: files, timed in turns in fresh processes."""

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from model_lego.errors import BadConfig
from model_lego.exporting.runtimes import Runtime
from model_lego.exporting.taken import Writable, wrapped
from model_lego.exporting.turns import in_turns, written
from model_lego.models.registry import build_from
from model_lego.parts.assembly import Assembly, Head, Part, leaves, told_classes
from model_lego.parts.component import Component
from model_lego.progress import Progress, quiet


@dataclass(frozen=True, slots=True)
class Timed:
    """What a batch takes a network in a runtime: milliseconds, the median of rounds, half of which are `low` to `high`.

    `faster` is how many times as fast it is as its uncut `source` (a name among the rows), in the median of rounds; it
    is None where there is no source. `bytes` are those of the file, `memory` the most that a process takes which runs
    it alone.
    """

    name: str
    runtime: str
    threads: int
    batch: int
    milliseconds: float
    low: float
    high: float
    source: str | None
    faster: float | None
    bytes: int
    memory: int

    @property
    def rate(self) -> float:
        """Images a second."""
        return 1000 * self.batch / self.milliseconds

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"rate": self.rate}


@dataclass(frozen=True, slots=True, eq=False)
class _Contender:
    name: str
    part: Part
    source: str | None  # the name of what it is held against


@dataclass(frozen=True, slots=True)
class _Plan:
    batches: Sequence[int]
    threads: Sequence[int]
    rounds: int

    def __post_init__(self) -> None:
        numbers = (*self.batches, *self.threads, self.rounds)
        if not self.batches or not self.threads or any(number < 1 for number in numbers):
            raise BadConfig("batches, threads and rounds are whole numbers from 1 on")


def latency(
    parts: Mapping[str, Part],
    runtimes: Sequence[Runtime],
    *,
    batches: Sequence[int] = (1, 8, 32),
    threads: Sequence[int] = (1, 2),
    rounds: int = 9,
    progress: Progress = quiet,
) -> tuple[Timed, ...]:
    """Time parts, by their names, and the uncut sources of each: those of an assembly side by side.

    Sources are built by their builders with fresh weights, which take the same time. A part without such sources is
    timed alone; a padded assembly is held against the sources of a parallel one of the same classes. Raises BadConfig,
    ExportFailed and TraceFailed.
    """
    plan = _Plan(batches, threads, rounds)
    if not runtimes or not parts:
        raise BadConfig("there is nothing to time: name parts, and runtimes that are installed")
    entries = _contenders(parts)
    rows: list[Timed] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, runtime in enumerate(runtimes):
            progress("timing", number, len(runtimes))
            rows += _timed(entries, runtime, plan, Path(folder))
    progress("timing", len(runtimes), len(runtimes))
    return tuple(rows)


def _timed(entries: Sequence[_Contender], runtime: Runtime, plan: _Plan, folder: Path) -> Iterator[Timed]:
    """All rows of a runtime: the peak of each network in a process of its own, then all of them in turns."""
    files = [written(_floats(entry.part), runtime, folder / f"{place}") for place, entry in enumerate(entries)]
    peaks = [in_turns([file], plan.threads[0], [max(plan.batches)], 1).peak for file in files]
    for threads in plan.threads:
        told = in_turns(files, threads, plan.batches, plan.rounds).milliseconds
        for batch in plan.batches:
            taken = {entry.name: own for entry, own in zip(entries, told[batch], strict=True)}
            for entry, file, peak in zip(entries, files, peaks, strict=True):
                low, middle, high = _quartiles(taken[entry.name])
                yield Timed(
                    name=entry.name,
                    runtime=runtime.name,
                    threads=threads,
                    batch=batch,
                    milliseconds=middle,
                    low=low,
                    high=high,
                    source=entry.source,
                    faster=_faster(taken[entry.name], None if entry.source is None else taken[entry.source]),
                    bytes=file.bytes,
                    memory=peak,
                )


def _floats(part: Part) -> Writable:
    return Writable(*wrapped(part, pixels=False))


def _quartiles(times: Sequence[float]) -> list[float]:
    return statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else [times[0]] * 3


def _faster(own: Sequence[float], source: Sequence[float] | None) -> float | None:
    """How many times as fast, round by round."""
    return None if source is None else statistics.median(a / b for a, b in zip(source, own, strict=True))


def _contenders(parts: Mapping[str, Part]) -> list[_Contender]:
    """Each part, and before it the sources that it was made of, once for all parts of the same ones."""
    known: dict[object, str] = {}
    sources = {name: _sources(part) for name, part in parts.items()}
    by_classes = {told_classes(part): name for name, part in parts.items() if sources[name] is not None}
    entries: list[_Contender] = []
    for name, part in parts.items():
        owner = name if sources[name] is not None else by_classes.get(told_classes(part), name)
        source, label = sources[owner], None
        if source is not None:
            key = frozenset(leaf.origin.source_digest for leaf in leaves(parts[owner]))
            if key not in known:
                known[key] = f"{owner}: {'sources' if len(key) > 1 else 'source'}"
                entries.append(_Contender(known[key], source, None))
            label = known[key]
        entries.append(_Contender(name, part, label))
    return entries


def _sources(part: Part) -> Part | None:
    """The uncut networks that a part was cut from, each once, side by side; None where one of them is not known."""
    if isinstance(part, Assembly) and part.padded is not None:
        return None
    uncut = {leaf.origin.source_digest: leaf for leaf in leaves(part)}
    if any(leaf.origin.builder is None or leaf.origin.builder.is_own_code for leaf in uncut.values()):
        return None
    made = [_uncut(leaf) for leaf in uncut.values()]
    if len(made) == 1:
        return made[0]
    classes = [f"{number}.{name}" for number, each in enumerate(made, 1) for name in each.classes]
    return Assembly(made, layout="parallel", classes=classes, head=Head.identity(len(classes))).eval()


def _uncut(component: Component) -> Component:
    builder = component.origin.builder
    assert builder is not None
    with torch.random.fork_rng(devices=[]):
        module = build_from(builder).eval()
    classes = component.origin.source_classes
    return Component(
        module,
        classes=classes,
        labels=range(len(classes)),
        origin=replace(component.origin, settings={}),
        preprocessing=component.preprocessing,
    ).eval()

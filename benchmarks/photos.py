"""make bench ARGS=photos: accuracy, memory and time of `disassemble` at 224 pixels, in processes of their own.

EfficientNet-Lite0 and the photographs of benchmarks/lite.py: a component is made of training photographs, repeated
where there are fewer than asked for, and measured on the validation set's. Memory is the most that the whole process
has while it works, Python and libraries included, less the photographs, which are held as bytes. Time is beside the
mean of two forwards of the source over the same photographs, before and after, in the same process.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from typing import Any

import torch
from torch import Tensor, nn

import model_lego as ml
from benchmarks import lite
from benchmarks.common import RESULTS, record
from benchmarks.coverage.memory import Memory
from model_lego.data import ImageSet, batches
from model_lego.repairing.holding import give_back

BATCH = 20
#: Photographs, and the multiply-adds that are left; None is the default of `disassemble`.
ROWS = ((100, 0.65), (200, 0.65), (400, 0.65), (4000, 0.65), (800, None), (800, 0.5), (800, 0.3))
Feed = list[tuple[Tensor, Tensor]]


class Phases:
    """Takes reports of progress: the seconds of each phase, and the most memory that the process had in it."""

    def __init__(self, memory: Memory) -> None:
        self.memory, self.what, self.since = memory, "reading the network", time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.peak: dict[str, int] = {}
        memory.reset()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take a report: what was done until now belongs to the phase before, if it is another one."""
        if what == self.what:
            return
        now = time.perf_counter()
        self.seconds[self.what] = self.seconds.get(self.what, 0.0) + now - self.since
        self.peak[self.what] = max(self.peak.get(self.what, 0), self.memory.peak())
        self.memory.reset()
        self.what, self.since = what, now


def held(images: ImageSet, count: int) -> Feed:
    """So many images as bytes, in batches, as many of each class; repeated where there are fewer."""
    by_class = [(images.labels == label).nonzero().reshape(-1) for label in images.labels.unique()]
    turns = torch.stack([places[: min(map(len, by_class))] for places in by_class], 1).reshape(-1)
    places = turns[torch.arange(count) % len(turns)]
    chosen = ImageSet(images.labels[places], images.image, images.numbers[places])
    return [((some * 255).round().byte(), labels) for some, labels in batches(chosen, batch_size=BATCH)]


def measured(count: int, macs: float | None, seed: int) -> dict[str, Any]:
    """One row: what a component of so many photographs is, and what it takes to make it."""
    memory = Memory()
    memory.start = 0  # the whole process counts
    found = lite.opened()
    assert found is not None
    model, labels = found.model, found.labels
    feed = held(found.split.train, count)
    before = _forward(model, feed)
    give_back()  # what reading photographs left behind
    phases, started = Phases(memory), time.perf_counter()
    options: dict[str, Any] = {} if macs is None else {"budget": ml.Budget(macs=macs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.DoubtfulResult)
        component = ml.disassemble(
            model, feed, classes=labels, preprocessing=lite.TAKING, seed=seed, progress=phases, **options
        )
    seconds = time.perf_counter() - started
    phases("the end", 0, None)
    forward, beside = (before + _forward(model, feed)) / 2, sum(some.nbytes for some, _ in feed) >> 20
    cost, whole = component.origin.cost_after, component.origin.cost_before
    return {
        "photographs": count,
        "budget_macs": macs,
        "seed": seed,
        "threads": torch.get_num_threads(),
        **_accuracies(model, component, labels, held(found.split.test, len(found.split.test))),
        "parameters_percent": round(100 * cost.parameters / whole.parameters, 1),
        "macs_percent": round(100 * cost.macs / whole.macs, 1),
        "photographs_mib": beside,
        "peak_mib_above_them": max(phases.peak.values()) // 1024 - beside,
        "peak_mib_by_phase": {what: peak // 1024 - beside for what, peak in phases.peak.items()},
        "seconds": round(seconds, 1),
        "seconds_by_phase": {what: round(passed, 1) for what, passed in phases.seconds.items()},
        "forward_seconds": round(forward, 1),
        "source_forwards": round(seconds / forward, 2),
        "verdict": None if component.verdict is None else str(component.verdict),
    }


@torch.no_grad()
def _forward(model: nn.Module, feed: Feed) -> float:
    """Seconds of the source over all photographs."""
    started = time.perf_counter()
    for some, _ in feed:
        model(lite.TAKING(some / 255))
    return time.perf_counter() - started


@torch.no_grad()
def _accuracies(model: nn.Module, component: ml.Component, labels: tuple[int, ...], feed: Feed) -> dict[str, float]:
    """Accuracy in % of the component, and of the source over the same classes."""
    known, ours, theirs = torch.tensor(labels), [], []
    for some, answers in feed:
        ours.append(known[component(some / 255).argmax(1)] == answers)
        theirs.append(known[model(lite.TAKING(some / 255))[:, labels].argmax(1)] == answers)
    pairs = (("accuracy", ours), ("restricted", theirs))
    return {name: round(100 * float(torch.cat(right).double().mean()), 2) for name, right in pairs}


def main(rows: tuple[tuple[int, float | None], ...] = ROWS, seeds: tuple[int, ...] = (0,)) -> None:
    """Measure rows, each in a process of its own, and record them beside earlier ones; says what is not here."""
    if lite.photographs() is None or lite.weights_file() is None:
        print(f"photos: skipped, {lite.ABSENT}")
        return
    file = RESULTS / "photos.json"
    found: dict[str, Any] = json.loads(file.read_text())["rows"] if file.is_file() else {}
    for seed in seeds:
        for count, macs in rows:
            row = _apart(count, macs, seed)
            print(json.dumps(row), flush=True)
            found[f"{count} photographs, {'default' if macs is None else f'macs {macs:g}'}, seed {seed}"] = row
            record("photos", {"rows": found}, show=False)


def _apart(count: int, macs: float | None, seed: int) -> dict[str, Any]:
    code = f"from benchmarks.photos import *; print(json.dumps(measured({count}, {macs}, {seed})))"
    lines = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    row: dict[str, Any] = json.loads(lines.splitlines()[-1])
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, help="only rows of so many photographs")
    parser.add_argument("--macs", help="only rows of this share of the multiply-adds, or 'default'")
    parser.add_argument("--seed", type=int, action="append")
    given = parser.parse_args()
    main(
        tuple(
            (count, macs)
            for count, macs in ROWS
            if given.photographs in (None, count) and given.macs in (None, "default" if macs is None else f"{macs:g}")
        ),
        tuple(given.seed or (0,)),
    )

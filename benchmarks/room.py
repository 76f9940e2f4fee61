"""Memory and time of `disassemble` at 224 pixels, in processes of their own: `python -m benchmarks.room`.

EfficientNet-Lite0 and the photographs of benchmarks/photos.py, repeated where there are fewer than asked for. Memory is
the most that the whole process has while it works, Python and libraries included, less the photographs, which are held
as bytes. Time is beside that of one forward of the source over the same photographs, in the same process.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from typing import Any

import torch

import model_lego as ml
from benchmarks.common import record
from benchmarks.coverage.memory import Memory
from benchmarks.photos import BATCH, LABELS, NEEDS, PREPROCESSING, network, photographs

#: Photographs, and the multiply-adds that are left; None is the default of `disassemble`.
ROWS = ((400, 0.65), (4000, 0.65), (400, None))


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


def measured(count: int, macs: float | None, seed: int) -> dict[str, Any]:
    """One row: how much memory and time a component of so many photographs takes."""
    memory = Memory()
    memory.start = 0  # the whole process counts
    model = network()
    assert model is not None
    images, labels = photographs("train", count)
    feed = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    before = _forward(model, feed)
    phases, started = Phases(memory), time.perf_counter()
    options: dict[str, Any] = {} if macs is None else {"budget": ml.Budget(macs=macs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.DoubtfulResult)
        component = ml.disassemble(
            model,
            feed,
            classes=list(LABELS.values()),
            preprocessing=PREPROCESSING,
            seed=seed,
            progress=phases,
            **options,
        )
    seconds = time.perf_counter() - started
    phases("the end", 0, None)
    forward = (before + _forward(model, feed)) / 2
    beside = images.nbytes >> 20
    return {
        "photographs": count,
        "budget_macs": macs,
        "seed": seed,
        "photographs_mib": beside,
        "peak_mib_above_them": max(phases.peak.values()) // 1024 - beside,
        "peak_mib_by_phase": {what: peak // 1024 - beside for what, peak in phases.peak.items()},
        "seconds": round(seconds, 1),
        "seconds_by_phase": {what: round(passed, 1) for what, passed in phases.seconds.items()},
        "forward_seconds": round(forward, 1),
        "source_forwards": round(seconds / forward, 2),
        "macs_percent": round(100 * component.origin.cost_after.macs / component.origin.cost_before.macs, 1),
        "verdict": None if component.verdict is None else str(component.verdict),
    }


@torch.no_grad()
def _forward(model: torch.nn.Module, feed: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Seconds of the source over all photographs."""
    started = time.perf_counter()
    for some, _ in feed:
        model(PREPROCESSING(some / 255))
    return time.perf_counter() - started


def main() -> None:
    """Measure one row, if it is named, or all rows, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int)
    parser.add_argument("--macs", type=float)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if network() is None:
        print(f"room: skipped, the packages {' and '.join(NEEDS)} are not installed")
    elif given.photographs:
        print(json.dumps(measured(given.photographs, given.macs, given.seed)))
    else:
        rows: list[dict[str, Any]] = []
        for count, macs in ROWS:
            rows.append(_apart(count, macs, given.seed))
            record("room", {"rows": rows}, show=False)
            print(json.dumps(rows[-1]), flush=True)


def _apart(count: int, macs: float | None, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.room", "--photographs", str(count), "--seed", str(seed)]
    command += [] if macs is None else ["--macs", str(macs)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    row: dict[str, Any] = json.loads(lines[-1])
    return row


if __name__ == "__main__":
    main()

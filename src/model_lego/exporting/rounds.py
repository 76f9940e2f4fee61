"""What a fresh process runs to time files: all of them in turns, so that what else runs here slows down each.

Usage: `python -m model_lego.exporting.rounds FILE.json`. The object has `files` (of each its runtime, file, shape and
type of an image), `threads`, `batches`, `rounds`, and whether only this process's `own` time counts. Gives an object on
stdout: `milliseconds` by batch, file and round, of these the `quickest` single run by batch and file, and the `peak` of
memory in bytes.
"""

import json
import math
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from model_lego.exporting.formats import Array, Run
from model_lego.exporting.runtimes import RUNTIMES

#: Gives the seconds that went by.
Clock = Callable[[], float]
#: Seconds that a file's turn takes at least: shorter ones are mostly the clock's own.
TURN = 0.01
#: Times that a batch runs in a turn, at most.
MOST = 50


def main(path: str) -> None:
    """Time what a file of orders asks for."""
    orders = json.loads(Path(path).read_text(encoding="utf-8"))
    runs = [RUNTIMES[one["runtime"]].open(Path(one["file"]), orders["threads"]) for one in orders["files"]]
    times, quickest = {}, {}
    clock = time.process_time if orders["own"] else time.perf_counter
    for batch in orders["batches"]:
        images = [_images(batch, one) for one in orders["files"]]
        taken = _in_turns(runs, images, orders["rounds"], clock)
        times[str(batch)] = [[fmean(turn) for turn in own] for own in taken]
        quickest[str(batch)] = [min(map(min, own)) for own in taken]
    print(json.dumps({"milliseconds": times, "quickest": quickest, "peak": _peak()}))  # noqa: T201


def _images(batch: int, one: dict[str, Any]) -> Array:
    return np.random.default_rng(0).random((batch, *one["shape"])).astype(one["type"])


def _in_turns(runs: list[Run], images: list[Array], rounds: int, clock: Clock) -> list[list[list[float]]]:
    """Milliseconds by file, round and run; two turns before them warm up and say how often a turn runs."""
    often = [1] * len(runs)
    for _ in range(2):
        often = [_turns(run, batch, number, clock) for run, batch, number in zip(runs, images, often, strict=True)]
    taken: list[list[list[float]]] = [[] for _ in runs]
    for _ in range(rounds):
        for place, run in enumerate(runs):
            taken[place].append(_turn(run, images[place], often[place], clock))
    return taken


def _turns(run: Run, batch: Array, often: int, clock: Clock) -> int:
    """How often a batch runs in the time of a turn."""
    return max(1, min(MOST, math.ceil(1000 * TURN / fmean(_turn(run, batch, often, clock)))))


def _turn(run: Run, batch: Array, often: int, clock: Clock) -> list[float]:
    """Milliseconds of each run."""
    taken = []
    for _ in range(often):
        started = clock()
        run(batch)
        taken.append(max(1000 * (clock() - started), 1e-6))
    return taken


def _peak() -> int:
    """The most memory that this process took, in bytes: as Linux tells it, since rusage has what came before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(sys.argv[1])

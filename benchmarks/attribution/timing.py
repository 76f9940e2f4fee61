"""Timings as ratios within one run: the pieces of work take turns, so that a slow minute of the machine hits all."""

import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 7


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of each piece of work, round by round, after one call of each that does not count."""
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(seconds(work))
    return found


def ratio(times: Mapping[str, list[float]], name: str, base: str) -> float:
    """The median over the rounds of one piece of work in parts of another."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def median(times: Mapping[str, list[float]], name: str) -> float:
    """The median of one piece of work in seconds."""
    return statistics.median(times[name])

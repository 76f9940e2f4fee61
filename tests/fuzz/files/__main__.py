"""`make fuzz`: damages files at random, and says what reading them ended in.

`python -m tests.fuzz.files --seconds 600 --seed 0 [--only NAME]`. A failure is printed as the smallest files that
hypothesis finds, and ends it with 1. `tests/fuzz/files/guided.py` does the same, led by the lines that are reached.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import seed as seeded

from tests.fuzz.files.targets import TARGETS, Files, Target
from tests.fuzz.files.trial import Seen, tried

#: Cases between two looks at the clock.
CASES = 100
QUIET = settings(
    max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
)


def cases(target: Target, seen: Seen, *, seed: int, count: int = CASES) -> Callable[[], None]:
    """A test that tries so many cases of a target, and notes what they ended in."""

    @settings(QUIET, max_examples=count)
    @seeded(seed)
    @given(files=target.drawn())
    def all_end_well(files: Files) -> None:
        tried(target, files, seen)

    return all_end_well


def main() -> None:
    """Try for a while; exits with 1 where something failed."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.files", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append", help="these alone")
    asked = parser.parse_args()
    targets = [TARGETS[name] for name in asked.only or TARGETS]
    seen = {target.name: Seen() for target in targets}
    print(f"seed {asked.seed}", flush=True)
    failed, until = set[str](), time.monotonic() + asked.seconds
    for turn in itertools.count():
        for target in targets:
            if target.name not in failed:
                try:
                    cases(target, seen[target.name], seed=1000 * asked.seed + turn)()
                except Exception as error:  # whatever it is, it is what was looked for
                    failed.add(target.name)
                    notes = "\n".join(getattr(error, "__notes__", ()))
                    print(f"\n{target.name} failed: {type(error).__name__}: {error}\n{notes}", flush=True)
        if time.monotonic() > until or len(failed) == len(targets):
            break
    print(summary(seen))
    sys.exit(bool(failed))


def summary(seen: dict[str, Seen]) -> str:
    """How many cases there were of each target, what they ended in, and what they took at most."""
    rows = [f"{each.ended.total():7} {name}: {_told(each)}" for name, each in seen.items()]
    slowest, largest = (max(getattr(each, name) for each in seen.values()) for name in ("seconds", "megabytes"))
    cases = sum(each.ended.total() for each in seen.values())
    return "\n".join([*rows, f"{cases:7} in all, at most {slowest:.2f} s and {largest:.0f} MB"])


def _told(seen: Seen) -> str:
    ended = ", ".join(f"{name} {count}" for name, count in seen.ended.most_common())
    return f"{ended}; at most {seen.seconds:.2f} s, {seen.megabytes:.0f} MB"


if __name__ == "__main__":
    main()

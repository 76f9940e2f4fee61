"""`make fuzz-networks`: tries random networks, and says how many were cut, what was refused and what failed.

`python -m tests.fuzz --count 2000 --seed 0`. Networks are known by the seed and their number. With `--out` each outcome
is a line of that file, and numbers that are in it already are not tried again.
"""

import argparse
import json
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.describing import Network
from tests.fuzz.drawing import network, smallest
from tests.fuzz.trial import STAGES, Outcome, tried

LEAST = 0.8  # share of the networks that has to be cut
REASONS = 20  # most frequent ones that are listed


def main() -> None:
    """Try networks; exits with 1 where one failed, or where too few were cut to show anything."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="how many networks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first network")
    parser.add_argument("--out", type=Path, help="file of outcomes, one a line")
    parser.add_argument("--as-drawn", action="store_true", help="do not look for smaller networks that fail alike")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"seed {asked.seed}, networks {asked.first} to {asked.first + asked.count - 1}", flush=True)
    known = read(asked.out)
    rows, start, shown = [], time.perf_counter(), set[tuple[str, ...]]()
    for number in range(asked.first, asked.first + asked.count):
        row = known.get((asked.seed, number)) or _tried(asked.seed, number, asked.out)
        rows.append(row)
        for failure in row["failures"]:
            kind = tuple(failure["kind"])
            if kind not in shown:
                shown.add(kind)
                small = row["network"] if asked.as_drawn else _shrunk(asked.seed, number, kind)
                print(f"\n{number} failed: {kind}\n{failure['text']}\nnetwork: {small}", flush=True)
        if number % 50 == 49:
            print(f"{len(rows)} tried, {time.perf_counter() - start:.0f} s", flush=True)
    print(summary(rows))
    sys.exit(bool(shown) or sum(row["cut"] for row in rows) < LEAST * len(rows))


def read(path: Path | None) -> dict[tuple[int, int], dict[str, Any]]:
    """The outcomes that are in a file, by seed and number, but for those that failed."""
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {(row["seed"], row["number"]): row for row in rows if not row["failures"]}


def _tried(seed: int, number: int, path: Path | None) -> dict[str, Any]:
    row = row_of(seed, number, tried(network(seed, number)))
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    return row


def row_of(seed: int, number: int, outcome: Outcome) -> dict[str, Any]:
    """What is kept of an outcome."""
    return {
        "seed": seed,
        "number": number,
        "cut": outcome.is_cut,
        "effect": outcome.effect,
        "unusable": outcome.unusable,
        "passed": outcome.passed,
        "refused": outcome.refused,
        "failures": [{"kind": failure.kind, "text": failure.text} for failure in outcome.failures],
        "network": repr(outcome.network),
    }


def _shrunk(seed: int, number: int, kind: tuple[str, ...]) -> Network:
    needed = [stage for stage in STAGES if stage in ("trace", "cut", kind[0])]
    return smallest(seed, number, lambda small: any(found.kind == kind for found in tried(small, needed).failures))


def summary(rows: list[dict[str, Any]]) -> str:
    """Counts, refusals with their reasons, and the descriptions of what failed."""
    cut = sum(row["cut"] for row in rows)
    failed = [row for row in rows if row["failures"]]
    passed = Counter(stage for row in rows for stage in row["passed"])
    reasons = Counter(
        (stage, re.sub(r"'[^']*'|\d+(\.\d+)?", "…", reason)) for row in rows for stage, reason in row["refused"].items()
    )
    lines = [
        f"{len(rows)} networks: {cut} cut ({100 * cut / len(rows):.1f} %), {passed['trace']} read, "
        f"{len(failed)} failed, {sum(bool(row['unusable']) for row in rows)} unusable",
        "held: " + ", ".join(f"{stage} {passed[stage]}" for stage in STAGES),
        f"refused, the {REASONS} most frequent reasons:",
        *(f"  {count:5} {stage}: {reason}" for (stage, reason), count in reasons.most_common(REASONS)),
    ]
    for row in failed:
        lines += [f"failed, number {row['number']}: {row['network']}"]
        lines += [f"  {failure['kind']}: {failure['text'].splitlines()[-1]}" for failure in row["failures"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

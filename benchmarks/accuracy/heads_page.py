"""The figures of `benchmarks.run heads` as a part of the page."""

# ruff: noqa: E501  # the lines are those of the page

from typing import Any

HEAD = """## Heads, on training images

Written by `python -m benchmarks.run heads` from `benchmarks/results/heads.json`; no test image is looked at, and the rule
of `auto` was chosen by these figures. Components at the default thresholds; of 700 training images a class, some calibrate
the head and the others are measured on: mean accuracy in % over eight samples, in brackets the least.

"""


def text(found: dict[str, Any]) -> str:
    """A table for each number of calibration images of a class; a column for each assembly."""
    counts = sorted({count for each in found.values() for count in each}, key=int)
    return HEAD + "\n".join(_table(found, count) for count in counts)


def _table(found: dict[str, Any], count: str) -> str:
    lines = [[f"{count} a class", *found], ["---"] * (len(found) + 1)]
    ways = dict.fromkeys(way for each in found.values() for way in each.get(count, {}))
    for way in ways:
        rows = [each.get(count, {}).get(way) for each in found.values()]
        lines.append([way, *("" if row is None else f"{row['mean']:.2f} ({row['least']:.1f})" for row in rows)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

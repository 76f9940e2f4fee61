"""The figures of `benchmarks.run heads` as a part of the page."""

# ruff: noqa: E501  # the lines are those of the page

from typing import Any

from benchmarks.accuracy.figures import wilson

HEAD = """## Heads, on training images

Written by `python -m benchmarks.run heads` from `benchmarks/results/heads.json`; no test image is looked at, and the rule
of `auto` was chosen by these figures. Components at the default thresholds; of 700 training images a class, some calibrate
the head and the others are measured on: mean accuracy in % over eight samples ± half its 95 % Wilson interval over as many
images as one of them is measured on, in brackets the least of the samples.

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
        lines.append([way, *("" if row is None else _cell(row) for row in rows)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(row: dict[str, Any]) -> str:
    return f"{row['mean']:.2f} ± {wilson(row['mean'], row['images']):.1f} ({row['least']:.1f})"

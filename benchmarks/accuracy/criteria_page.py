"""Criteria to choose channels by, at equal size: their part of the page."""

from statistics import mean
from typing import Any

from benchmarks.accuracy.figures import cell

TITLES = {
    "reconstruction": "reconstruction (the default of budgets)",
    "count": "the paper's counts",
    "contribution": "soft relative contribution",
    "energy": "contribution x activation energy",
    "taylor": "Taylor",
    "magnitude": "L1 magnitude",
    "fpgm": "FPGM",
    "hrank": "HRank",
    "random": "random",
}
HEAD = """## Criteria

Written by `python -m benchmarks.run criteria` from `benchmarks/results/criteria.json`. Channels for bird, cat and deer
by several criteria at equal size, accuracy in % on held-out training images: the mean over three seeds (which draw the
calibration images and the held-out ones) ± half its 95 % Wilson interval over as many images as a seed has, in brackets
the least and the largest. *Repaired* and *cut*: with the widths that reconstruction gives all criteria, with the repair
and without; *one threshold*: repaired, with widths by one threshold for the criterion's own scores, normalised in each
group.
"""
HOW = ("repaired", "cut", "one threshold")


def text(networks: dict[str, Any]) -> str:
    """The part of the page about these networks."""
    return "\n".join([HEAD, *(_table(name, found) for name, found in networks.items())])


def _table(name: str, found: dict[str, Any]) -> str:
    images, restricted = found["held_out_images"], cell(found["restricted"], found["held_out_images"])
    lines = [f"{name}, {found['of']} classes, {images:,} images; source, restricted: {restricted}.", ""]
    heads = [f"{_size(size)}: {how}" for size in found["sizes"] for how in HOW]
    lines += [f"| criterion | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for key, title in TITLES.items():
        cells = [cell(size.get(key, {}).get(how, ()), images) for size in found["sizes"] for how in HOW]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _size(size: dict[str, Any]) -> str:
    return f"{mean(size['parameters_percent']):.0f} % ({mean(size['macs_percent']):.0f} % of the multiply-adds)"

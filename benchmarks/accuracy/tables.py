"""The tables by name, each measured in a process that opens the networks once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.accuracy import bricks, budgets, joints
from benchmarks.accuracy.material import Material, opened, source

#: Those that take longest first, so that processes end together.
TABLES: dict[str, Callable[[Material], dict[str, Any]]] = {
    "bricks": bricks.bricks,
    bricks.VARIED: bricks.varied,
    "all classes": joints.all_classes,
    "budget": budgets.budget,
    "animals": joints.animals,
    "vehicles": joints.vehicles,
}

#: Measured only when they are named: thirty components more than all others together.
APART = (bricks.VARIED,)

material = cache(opened)


def remembered(statistics: Path, number: int) -> None:
    """Measure the statistics of one network into the folder, so that a process for each does it once for all."""
    source(number, statistics)


def measured(name: str, statistics: Path) -> dict[str, Any]:
    """One table; the networks are opened once a process, with the statistics of the folder."""
    return TABLES[name](material(statistics))

"""The tables by name, each measured in a process that opens the networks once."""

from collections.abc import Callable
from functools import cache
from typing import Any

from benchmarks.accuracy import bricks, budgets, joints
from benchmarks.accuracy.material import Material, opened

#: Those that take longest first, so that processes end together.
TABLES: dict[str, Callable[[Material], dict[str, Any]]] = {
    "bricks": bricks.bricks,
    "bricks varied": bricks.varied,
    "all classes": joints.all_classes,
    "animals": joints.animals,
    "vehicles": joints.vehicles,
    "budget": budgets.budget,
}

material = cache(opened)


def measured(name: str) -> dict[str, Any]:
    """One table; the networks are opened once a process."""
    return TABLES[name](material())

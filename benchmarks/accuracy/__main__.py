"""make accuracy: measure all tables or those that are named, record them and write docs/accuracy.md."""

import sys
from collections.abc import Callable
from typing import Any

from benchmarks.accuracy import bricks, budgets, joints, page
from benchmarks.accuracy.material import A_CLASS, SEEDS, Material, opened
from benchmarks.common import record

TABLES: dict[str, Callable[[Material], dict[str, Any]]] = {
    "all classes": joints.all_classes,
    "vehicles": joints.vehicles,
    "animals": joints.animals,
    "budget": budgets.budget,
    "bricks": bricks.bricks,
}


def main() -> None:
    """Measure; the tables that are not named keep their last figures."""
    wanted = sys.argv[1:] or list(TABLES)
    for name in wanted:
        if name not in TABLES:
            sys.exit(f"there is no table '{name}'; there are {', '.join(TABLES)}")
    material = opened()
    if material is None:
        print("accuracy: skipped, the trained networks and CIFAR-10 are not here (set MODEL_LEGO_SHARED)")
        return
    for name in wanted:
        found = TABLES[name](material)
        print(name, found, flush=True)
        tables = page.last("accuracy") | {name: found}
        record("accuracy", {"tables": tables, "seeds": list(SEEDS), "calibration_a_class": A_CLASS}, show=False)
        page.write()


if __name__ == "__main__":
    main()

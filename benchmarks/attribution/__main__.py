"""make bench-attribution: measure, record the figures and write them into docs/benchmarks.md."""

import multiprocessing
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.attribution import compiling, forward, page, reading, scale, textbook
from benchmarks.common import record

#: Each runs in a process of its own, so that memory is its own.
PARTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **{f"forward {name[0]} {name[2]}": (forward.case, name) for name in forward.CASES},
    "compiled": (compiling.compiled, ()),
    "classes": (forward.classes_that_nobody_asked_for, ()),
    "textbook": (textbook.against_the_textbook, ()),
    "a thousand classes": (scale.a_thousand_classes, ()),
    "location": (scale.location, ()),
    "repair": (scale.repair_and_disassemble, ()),
    "reading": (reading.reading_ahead, ()),
}


def main() -> None:
    """Measure all parts, or those that are named; the others keep their last figures."""
    wanted = sys.argv[1:] or list(PARTS)
    found = page.last()
    context = multiprocessing.get_context("spawn")
    for name in wanted:
        if name not in PARTS:
            sys.exit(f"there is no part '{name}'; there are {', '.join(PARTS)}")
        with context.Pool(1) as pool:
            work, arguments = PARTS[name]
            found[name] = pool.apply(work, arguments)
        print(name, found[name], flush=True)
        record("attribution", {"parts": found, "rounds": 7}, show=False)
    page.write(found)


if __name__ == "__main__":
    main()

"""How results are printed: tables and JSON on stdout, progress on stderr."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(soft_wrap=True, highlight=False)
talk = Console(stderr=True, soft_wrap=True, highlight=False)


def quiet(silent: bool) -> None:
    """Say nothing from now on, or speak (again)."""
    out.quiet = talk.quiet = silent


class Bar:
    """Progress on stderr with rate and time left, one line that is overwritten; silent where that is no terminal."""

    def __init__(self) -> None:
        self.what, self.started, self.shown = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take a report of a long loop."""
        if talk.quiet or not sys.stderr.isatty():
            return
        now = time.monotonic()
        if what != self.what:
            self.what, self.started, self.shown = what, now, 0.0
        if now - self.shown < 0.1 and done != total:
            return
        self.shown = now
        rate = done / max(now - self.started, 1e-6)
        pace = f", {rate:.0f}/s" if rate >= 10 else f", {rate:.1f}/s" if done else ""
        left = f", {(total - done) / rate:.0f} s left" if total and done else ""
        count = (f"{done}/{total}" if total else str(done)) + pace
        sys.stderr.write(f"\r\x1b[K{what} {count}{left}" + ("\r\x1b[K" if done == total else ""))
        sys.stderr.flush()


def show_json(value: Any) -> None:
    """Print one JSON object."""
    if out.quiet:
        return
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")


def say(text: str) -> None:
    """Print a line of talk on stderr."""
    talk.print(text, markup=False)


def show(text: str) -> None:
    """Print a result."""
    out.print(text, markup=False)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns after the first are right-aligned."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    out.print(table)


def share(part: int, whole: int) -> str:
    """A size beside what it was."""
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else f"{part:,}"

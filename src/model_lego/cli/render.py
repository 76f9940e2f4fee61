"""How results are printed: tables and JSON on stdout, progress on stderr."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from model_lego.text.inert import printable

out = Console(soft_wrap=True, highlight=False)
talk = Console(stderr=True, soft_wrap=True, highlight=False)


def quiet(silent: bool) -> None:
    """Say nothing from now on, or speak (again)."""
    out.quiet = talk.quiet = silent


#: What moves the cursor in lines of ours.
LINES = "\n\t"
#: Back to the start of the line, and away with what is there.
WIPE = "\r\x1b[K"
#: Rows of a table that is drawn with lines.
LONG = 500
#: Seconds between two lines of progress, and those after which a rate is one.
PAUSE, ENOUGH = 0.1, 0.5


class Bar:
    """Progress on stderr with rate and time left, one line that is overwritten; silent where that is no terminal."""

    def __init__(self) -> None:
        self.what, self.done, self.before = "", 0, 0
        self.started, self.shown = 0.0, 0.0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Take a report of a long loop."""
        if not _drawn():
            return
        now = time.monotonic()
        if what != self.what or done < self.done:  # what was done before the first report is not counted in the rate
            self.what, self.before, self.started, self.shown = what, done, now, 0.0
        self.done = done
        if now - self.shown < PAUSE and done != total:
            return
        self.shown = now
        passed = now - self.started
        rate = (done - self.before) / passed if passed > ENOUGH else 0.0
        count = f"{done}/{total}" if total else str(done)
        left = f", {_duration((total - done) / rate)} left" if total and rate and done < total else ""
        sys.stderr.write(f"{WIPE}{printable(what)} {count}{_pace(rate)}{left}" + (WIPE if done == total else ""))
        sys.stderr.flush()


def _drawn() -> bool:
    """Whether progress is drawn."""
    return not talk.quiet and sys.stderr.isatty()


def _pace(rate: float) -> str:
    """A rate that is told a second or, where it is slow, a minute."""
    if not rate:
        return ""
    if rate < 0.1:
        return f", {60 * rate:.1f}/min"
    return f", {rate:.0f}/s" if rate >= 10 else f", {rate:.1f}/s"


def _duration(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def show_json(value: Any) -> None:
    """Print one JSON object."""
    if out.quiet:
        return
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, default=str) + "\n")


def say(text: str) -> None:
    """Print a line of talk on stderr, in the place of the line of progress where there is one."""
    if _drawn():
        sys.stderr.write(WIPE)
    talk.print(printable(text, keep=LINES), markup=False, emoji=False)


def show(text: str) -> None:
    """Print a result."""
    out.print(printable(text, keep=LINES), markup=False, emoji=False)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; columns after the first are right-aligned. A long one is plain: rich takes a millisecond a row."""
    if len(rows) > LONG:
        _write_plainly(title, [columns, *rows])
        return
    table = Table(title=Text(printable(title)), title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(Text(printable(column)), justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*[Text(printable(str(cell))) for cell in row])  # a text is no markup of rich
    out.print(table)


def _write_plainly(title: str, rows: Sequence[Sequence[object]]) -> None:
    if out.quiet:
        return
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sys.stdout.write(f"{printable(title)}\n")
    for first, *others in cells:
        row = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        sys.stdout.write("  ".join(row).rstrip() + "\n")


def share(part: int, whole: int) -> str:
    """A size beside what it was."""
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else f"{part:,}"

"""Where predictions go, one by one as they are made: a table, lines of JSON, a csv file."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from model_lego.cli.render import show_table
from model_lego.parts.predictions import Prediction, columns
from model_lego.store.outputs import writing

#: Takes a prediction.
Take = Callable[[Prediction], None]


@contextmanager
def as_table(top: int) -> Iterator[Take]:
    """One table on stdout, when all are there."""
    rows: list[list[str]] = []

    def take(prediction: Prediction) -> None:
        told = [(name, _percent(share)) for name, share in prediction.top(top)] or [("not read", "-")]
        more = [", ".join(map(" ".join, told[1:]))] if top > 1 else []
        rows.append([str(prediction.image), *told[0], *more])

    yield take
    show_table("Predictions", ["file", "class", "probability", *(["then"] if top > 1 else [])], rows)


@contextmanager
def as_lines(top: int) -> Iterator[Take]:
    """A JSON object in each line of stdout."""

    def take(prediction: Prediction) -> None:
        sys.stdout.write(json.dumps(prediction.to_dict(top)) + "\n")

    yield take


@contextmanager
def as_csv(file: str, top: int) -> Iterator[Take]:
    """Rows of a csv file, - for stdout; a file that is there is replaced."""
    if file == "-":
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="surrogateescape")  # names of files need not be UTF-8
        yield _rows(sys.stdout, top)
        return
    with ExitStack() as until_done:
        with writing(file):
            opened = until_done.enter_context(Path(file).open("w", 1, "utf-8", "surrogateescape", ""))
            take = _rows(opened, top)

        def take_to_file(prediction: Prediction) -> None:
            with writing(file):
                take(prediction)

        yield take_to_file


def _rows(opened: TextIO, top: int) -> Take:
    rows = csv.writer(opened)
    rows.writerow(columns(top))

    def take(prediction: Prediction) -> None:
        rows.writerow(prediction.to_row(top))

    return take


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

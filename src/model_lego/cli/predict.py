"""model-lego predict: say what photos are, with a saved component or assembly."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from model_lego.cli import options as o
from model_lego.cli.outlets import Take, as_csv, as_lines, as_table
from model_lego.cli.render import Bar, say
from model_lego.cli.sources import open_part
from model_lego.errors import BadBatches, BadConfig, LegoError
from model_lego.parts.predicting import LONE, predicted
from model_lego.parts.predictions import Prediction, Predictions, counted
from model_lego.pictures.finding import Found, find_pictures
from model_lego.store.outputs import check_apart, check_file, check_place
from model_lego.store.sorting import Sorter
from model_lego.text.inert import printable

#: Exit code where some of the photos could not be read.
SOME_FAILED = 3

Paths = Annotated[
    list[str], typer.Argument(help="photos, folders of photos, patterns like 'photos/*.jpg', or - for a list on stdin")
]
Top = Annotated[int, typer.Option("--top", help="so many classes of each photo, the most probable ones")]
Csv = Annotated[str | None, typer.Option("--csv", help="write a table into this file, - for stdout")]
JsonLines = Annotated[bool, typer.Option("--json", help="print a JSON object for each photo, in a line")]
SortInto = Annotated[str | None, typer.Option("--sort-into", help="copy each photo into FOLDER/CLASS")]


def predict_command(
    *,
    part: Annotated[str, typer.Argument(help="a saved component or assembly")],
    paths: Paths,
    top: Top = 1,
    csv: Csv = None,
    sort_into: SortInto = None,
    loading: o.LoadingOptions,
    batch_size: o.BatchSize = 128,
    json: JsonLines = False,
) -> None:
    """Say what photos are, with a saved component or assembly; sort them into folders."""
    _check(top, csv, sort_into, json=json)
    opened = open_part(part, loading)
    if len(opened.classes) == 1:
        say(f"note: {LONE.format(*opened.classes)}")
    found = _found(paths)
    top = min(top, len(opened.classes))
    sorter = None if sort_into is None else _sorter(sort_into, opened.classes)
    names: Counter[str | None] = Counter()
    try:
        with ExitStack() as stack:
            takes = [stack.enter_context(outlet) for outlet in _outlets(top, csv, json=json)]
            for some in predicted(opened, found.paths, missing=found.missing, batch_size=batch_size, progress=Bar()):
                _hand_on(some, takes, sorter, names)
    except KeyboardInterrupt:
        say(f"interrupted; until then {_summary(names, csv, sorter)}")
        raise typer.Exit(130) from None
    if names[None] == names.total():
        raise BadBatches(f"none of {names.total()} photos could be read")
    say(_summary(names, csv, sorter))
    if names[None]:
        raise typer.Exit(SOME_FAILED)


def _check(top: int, csv: str | None, sort_into: str | None, *, json: bool) -> None:
    """Refuse what can be known before any work; raises BadConfig, CannotWrite."""
    if top < 1:
        raise BadConfig(f"--top {top} are no classes; give at least 1")
    if json and csv == "-":
        raise BadConfig("--json and --csv - both write on stdout; give --csv a file")
    file = None if csv == "-" else csv
    check_apart(file, sort_into)
    if file is not None:
        check_file(file)
    if sort_into is not None:
        check_place(Path(sort_into) / "class")


def _found(paths: Sequence[str]) -> Found:
    """The photos that are named, each once."""
    found = find_pictures(_names(paths))
    once: dict[Path, str] = {}
    for path in found.paths:
        once.setdefault(Path(path).absolute(), path)
    for note in found.notes:
        say(f"note: {note}")
    if twice := len(found.paths) - len(once):
        say(f"note: {twice} photos are named more than once, and are predicted once")
    return replace(found, paths=tuple(once.values()))


def _names(paths: Iterable[str]) -> Iterator[str]:
    """The names on the command line, and in the place of - those of stdin: each in a line, or with NUL behind it."""
    for path in paths:
        if path != "-":
            yield path
            continue
        listed = sys.stdin.buffer.read()
        names = listed.split(b"\0") if b"\0" in listed else listed.splitlines()
        yield from (os.fsdecode(name) for name in names if name)


def _sorter(sort_into: str, classes: Sequence[str]) -> Sorter:
    sorter = Sorter(sort_into, classes)
    for name, folder in sorter.folders.items():
        if folder.name != name:
            say(f"note: class '{name}' is no name of a folder; its photos go into '{folder}'")
    return sorter


def _outlets(top: int, csv: str | None, *, json: bool) -> Iterator[AbstractContextManager[Take]]:
    """What is written: a table, unless something else is asked for."""
    if csv is not None:
        yield as_csv(csv, top)
    if json:
        yield as_lines(top)
    elif csv is None:
        yield as_table(top)


def _hand_on(some: Predictions, takes: Sequence[Take], sorter: Sorter | None, names: Counter[str | None]) -> None:
    """Say what went wrong, sort, write, and count."""
    for prediction in some:
        done = prediction if sorter is None else _sorted(prediction, sorter)
        if done.error is not None:
            say(f"error: '{printable(str(done.image))}' cannot be read: {done.error}")
        for take in takes:
            take(done)
        names[done.name] += 1
    sys.stdout.flush()


def _sorted(prediction: Prediction, sorter: Sorter) -> Prediction:
    """A prediction whose photo was copied; raises CannotWrite."""
    if prediction.name is None:
        return prediction
    try:
        sorter.add(str(prediction.image), prediction.name)
    except LegoError:
        raise
    except OSError as error:  # gone since it was read
        return replace(prediction, error=error.strerror or str(error))
    return prediction


def _summary(names: Counter[str | None], csv: str | None, sorter: Sorter | None) -> str:
    """What was done, in a line."""
    words = [counted(names)]
    if csv is not None and csv != "-":
        words.append(f"written to {csv}")
    if sorter is not None:
        known = f", {sorter.known} were there already" if sorter.known else ""
        words.append(f"{sorter.copied} copied{known}")
    return "; ".join(words)

"""Errors in code of the user's own, each in one line: the file, the line, and what it says."""

import importlib
from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

from model_lego.errors import BadConfig
from model_lego.graph.modules import first_line

T = TypeVar("T")

#: Where lines are that are not the user's: here, and what imports modules.
_NOT_THEIRS = (Path(__file__).parent, Path(importlib.__file__).parent)


def told(what: str, run: Callable[[], T]) -> T:
    """Run code of the user's; raises BadConfig with the file, the line and the error where it fails."""
    try:
        return run()
    except (Exception, SystemExit) as error:
        place = _place(error)
        raise BadConfig(f"{what} cannot be built: {f'{place}: ' if place else ''}{_words(error)}") from error


def _place(error: BaseException) -> str:
    """The last line of the user's code that was reached, not that of a library that it calls."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return f"{_short(error.filename)}, line {error.lineno}"
    lines = [
        (frame.filename, frame.lineno)
        for frame in extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and Path(frame.filename).parent not in _NOT_THEIRS
    ]
    own = [line for line in lines if Path(line[0]).is_relative_to(Path(lines[0][0]).parent)]
    return f"{_short(own[-1][0])}, line {own[-1][1]}" if own else ""


def _short(file: str) -> str:
    """A file as seen from the current folder, where it is in it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _words(error: BaseException) -> str:
    kind, said = type(error).__name__, first_line(error)
    said = kind if said == kind else f"{kind}: {said}"
    if isinstance(error, SystemExit):
        return f"it ends the program ({said}); keep what is to run as a script under: if __name__ == '__main__'"
    if isinstance(error, ImportError) and "relative import" in str(error):
        return f"{said}; a file of a package is named as python:PACKAGE.MODULE:CALLABLE"
    return said

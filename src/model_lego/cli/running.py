"""The words of the command line that is running, as a part that it makes remembers them. No torch is needed here."""

import shlex
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

#: None where functions are called.
RUNNING: ContextVar[tuple[str, ...]] = ContextVar("RUNNING", default=())
#: What says where a result goes and how it is shown: with a value, and without.
PLACES, SWITCHES = ("--out", "-o"), ("--overwrite", "--json")


def command() -> str:
    """The words that decide what a result is, as a shell takes them; empty where no command is running."""
    return shlex.join(_words(RUNNING.get()))


def name_of(word: str) -> str:
    """A word; of the path of something that is there its last name, as other machines have other folders."""
    try:
        return Path(word).resolve().name if Path(word).exists() else word
    except (OSError, ValueError):  # no path: too long, a NUL
        return word


def _words(given: Sequence[str]) -> Iterator[str]:
    if given:
        yield "model-lego"
    rest = iter(given)
    for word in rest:
        if word in PLACES:
            next(rest, None)
        elif word not in SWITCHES and not word.startswith(tuple(f"{place}=" for place in PLACES)):
            option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
            yield f"{option}{equals}{name_of(value) if value else ''}"

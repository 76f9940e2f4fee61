"""Which command runs, and what it was asked: parts that it saves get their recipe of that. No torch is needed here."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: A command and its options.
Asked = tuple[str, Mapping[str, Any]]

_ASKED: ContextVar[Asked | None] = ContextVar("asked", default=None)


@contextmanager
def asking(command: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Let `asked` tell of a command meanwhile; of one that runs as a part of another, that one is told."""
    before = _ASKED.set(_ASKED.get() or (command, options))
    try:
        yield
    finally:
        _ASKED.reset(before)


def asked() -> Asked | None:
    """The command that was typed, and its options."""
    return _ASKED.get()

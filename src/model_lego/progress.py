"""How long loops report that they move on; the library itself is silent."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")

#: Called as `progress(what, done, total)`; `total` is None where it is not known beforehand.
Progress = Callable[[str, int, int | None], None]


def quiet(what: str, done: int, total: int | None) -> None:
    """Report nothing."""


def tracked(items: Iterable[T], what: str, progress: Progress) -> Iterator[T]:
    """Yield `items` and report after each; the total is taken from `len` where there is one."""
    total = len(items) if isinstance(items, Sized) else None
    progress(what, 0, total)
    done = 0
    for item in items:
        yield item
        done += 1
        progress(what, done, total)
    progress(what, done, done)

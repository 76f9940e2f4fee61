"""How long loops report that they move on; the library itself is silent."""

from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from typing import TypeVar

T = TypeVar("T")

#: Called as `progress(what, done, total)`; `total` is None where it is not known beforehand.
Progress = Callable[[str, int, int | None], None]


def quiet(what: str, done: int, total: int | None) -> None:
    """Report nothing."""


class Counted(Iterator[T]):
    """An iterator that says how many items it has, where that is known; `tracked` takes its total from there."""

    def __init__(self, items: Iterator[T], number: int | None) -> None:
        self._items, self._number = items, number

    def __next__(self) -> T:
        return next(self._items)

    def __length_hint__(self) -> int:
        return hint_of(self._number)


def hint_of(number: int | None) -> int:
    """What `__length_hint__` gives for a number of items that may not be known."""
    return NotImplemented if number is None else number


def number_of(items: Iterable[object]) -> int | None:
    """How many items there are, None where that is not known before they were read."""
    number = length_hint(items, -1)
    return None if number < 0 else number


def tracked(items: Iterable[T], what: str, progress: Progress, *, total: int | None = None) -> Iterator[T]:
    """Yield `items` and report after each; the total is what the items know of themselves, unless it is given."""
    total = number_of(items) if total is None else total
    progress(what, 0, total)
    done = 0
    for item in items:
        yield item
        done += 1
        progress(what, done, total)
    progress(what, done, done)

"""Room in memory: threads that decode large pictures wait for each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Room:
    """So much may be taken at once; what is larger is taken alone."""

    def __init__(self) -> None:
        self._changed, self._taken = Condition(), 0

    @contextmanager
    def taken(self, amount: int, limit: int) -> Iterator[None]:
        """Wait until there is room, and give it back at the end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + amount <= limit)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()

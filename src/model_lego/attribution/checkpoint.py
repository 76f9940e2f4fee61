"""What a long run notes down while it goes, so that it can go on from there when it was interrupted."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

#: Gives what there is to note; called only when it is time to.
Content = Callable[[], Mapping[str, Tensor]]


class Notes(Protocol):
    """Pages of tensors by name."""

    def read(self, page: str) -> Mapping[str, Tensor] | None:
        """What was noted on a page; None where nothing was."""

    def write(self, page: str, content: Content, *, now: bool = False) -> None:
        """Replace a page, where it is time to or `now` is set."""


class _Forgetful:
    """Notes nothing."""

    def read(self, page: str) -> None:
        return None

    def write(self, page: str, content: Content, *, now: bool = False) -> None:
        pass


#: Notes of a run that is not meant to go on.
FORGETFUL: Notes = _Forgetful()

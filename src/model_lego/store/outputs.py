"""Places to write to: what can be known of them is refused before work begins, what fails later names the place."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from model_lego.errors import CannotWrite, LegoError

#: Bytes of a file's name, and of a whole path, where the system does not say how many there may be.
LONGEST_NAME, LONGEST_PATH = 255, 4096
#: Bytes that we put behind a name or below a folder while we write: ".NAME-xxxxxxxx-old", "NAME.unfinished/…".
OURS = 64


def check_place(path: str | Path, *, needs: int = 0) -> None:
    """Refuse a place where nothing can be written, or not so many bytes.

    Folders that lack on the way are made when it is written. Raises CannotWrite.
    """
    path = _resolved(path)
    there = next((parent for parent in path.parents if os.path.lexists(parent)), path.parent)
    if not there.is_dir():
        raise CannotWrite(path, f"'{there}' is a file, so there can be no folder in it")
    _check_length(path, there)
    try:
        with tempfile.TemporaryFile(dir=there):  # the truth for every user and file system, and it leaves no trace
            pass
    except OSError as error:
        raise CannotWrite(path, f"the folder '{there}' does not allow it ({error.strerror})") from error
    check_room(path, needs)


def check_file(file: str | Path) -> None:
    """Refuse a file that cannot be written; one that is there is replaced. Raises CannotWrite."""
    check_place(file)
    if Path(file).is_dir():
        raise CannotWrite(file, "it is a folder; name a file")
    if Path(file).exists() and not os.access(file, os.W_OK):
        raise CannotWrite(file, "it is there already and may not be changed")


def check_apart(*places: str | Path | None) -> None:
    """Refuse outputs of one command that would lie on or in each other; None is no output. Raises CannotWrite."""
    for one, other in combinations([_resolved(place) for place in places if place is not None], 2):
        if one == other:
            raise CannotWrite(one, "two outputs have this name; give each its own")
        for inner, outer in ((one, other), (other, one)):
            if outer in inner.parents:
                raise CannotWrite(inner, f"it would lie in '{outer}', which is an output, too; put it elsewhere")


def check_room(path: str | Path, needs: int) -> None:
    """Refuse a place whose disk has not so many bytes left. Raises CannotWrite."""
    path = _resolved(path)
    there = next(parent for parent in (path, *path.parents) if parent.is_dir())
    if needs and (free := shutil.disk_usage(there).free) < needs:
        raise CannotWrite(path, f"it may take {needs:,} bytes, but the disk has {free:,} left")


def bytes_of(*networks: nn.Module) -> int:
    """What the tensors of networks take on a disk: a network that is cut from them takes no more."""
    return sum(tensor.numel() * tensor.element_size() for each in networks for tensor in each.state_dict().values())


@contextmanager
def writing(path: str | Path, *others: type[Exception]) -> Iterator[None]:
    """Say what the system (or one of the `others`) says of writing to a place as CannotWrite, which names it."""
    said: tuple[type[Exception], ...] = (OSError, SafetensorError, *others)
    try:
        yield
    except said as error:
        if isinstance(error, LegoError):
            raise
        raise CannotWrite(path, getattr(error, "strerror", None) or str(error)) from error


def _resolved(path: str | Path) -> Path:
    try:
        os.fsencode(path)
        return Path(path).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # NUL, half a character, links in a circle
        raise CannotWrite(ascii(str(path)), f"that is no path ({error})") from error


def _check_length(path: Path, there: Path) -> None:
    longest, whole = _limit(there, "PC_NAME_MAX", LONGEST_NAME), _limit(there, "PC_PATH_MAX", LONGEST_PATH)
    for name in path.parts[len(there.parts) :]:
        if len(os.fsencode(name)) > longest - OURS:
            raise CannotWrite(path, f"the name '{name[:20]}…' is too long; give one of {longest - OURS} bytes at most")
    if len(os.fsencode(path)) > whole - longest:
        raise CannotWrite(f"{str(path)[:40]}…", f"the path is too long; give one of {whole - longest} bytes at most")


def _limit(there: Path, name: str, default: int) -> int:
    try:
        return os.pathconf(there, name)
    except (AttributeError, OSError, ValueError):
        return default

"""Copies of files in a folder for each class: nothing is overwritten, and what is there already is not copied again."""

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from io import BufferedReader
from itertools import count
from pathlib import Path

from model_lego.store.outputs import writing

#: What no file system of the usual ones allows in a name, and names that Windows keeps for itself.
UNSAFE, DEVICES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]'), re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?", re.I)
#: Bytes of the name of a folder.
LONGEST = 150


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """The folder of each class: its name, where that is one, else what is nearest to it; each has its own."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(classes, key=lambda name: _safe(name) != name):  # who has a good name keeps it
        ways = (_safe(name), *(f"{_safe(name)}-{number}" for number in range(2, len(classes) + 1)))
        folders[name] = next(way for way in ways if _folded(way) not in taken)
        taken.add(_folded(folders[name]))
    return {name: folders[name] for name in classes}


def _safe(name: str) -> str:
    """A name that is no path, is not hidden and is allowed on the usual file systems."""
    safe = UNSAFE.sub("_", name).rstrip(". ")
    if not safe or safe.startswith(".") or DEVICES.fullmatch(safe):
        safe = f"_{safe}"
    return os.fsencode(safe)[:LONGEST].decode(errors="ignore").rstrip()


def _folded(name: str) -> str:
    """What is one name where case and the composition of letters do not count."""
    return unicodedata.normalize("NFC", name).casefold()


class Sorter:
    """Copies files into the folders of their classes below `root`; `copied` and `known` count them."""

    def __init__(self, root: str | Path, classes: Sequence[str]) -> None:
        self.folders = {name: Path(root, folder) for name, folder in folder_names(classes).items()}
        self.copied = self.known = 0
        self._digests: dict[Path, bytes | None] = {}  # of the files that are there; None of what is no file

    def add(self, path: str | Path, name: str) -> None:
        """Copy a file to the class `name`, under its own name or, where another one has that, with a number.

        A copy that is there already stays. Raises OSError where the file, CannotWrite where its copy fails.
        """
        with Path(path).open("rb") as file:
            own = None
            for target in _numbered(self.folders[name] / Path(path).name):
                if not os.path.lexists(target):
                    _copy(file, target)
                    self.copied += 1
                    return
                own = own or _digest(file)
                if self._digest_of(target) == own:
                    self.known += 1
                    return

    def _digest_of(self, target: Path) -> bytes | None:
        if target not in self._digests:
            self._digests[target] = None
            if target.is_file():
                with target.open("rb") as file:
                    self._digests[target] = _digest(file)
        return self._digests[target]


def _digest(file: BufferedReader) -> bytes:
    return hashlib.file_digest(file, "sha256").digest()


def _numbered(path: Path) -> Iterator[Path]:
    """A path, and the same with the numbers 2, 3, … behind its name."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _copy(file: BufferedReader, target: Path) -> None:
    """Write a copy, with the times of the file, where nothing is; a part of a copy is removed again."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = target.open("xb")
        try:
            with copy:
                file.seek(0)
                shutil.copyfileobj(file, copy)
            told = os.fstat(file.fileno())
            os.utime(target, ns=(told.st_atime_ns, told.st_mtime_ns))
        except BaseException:
            target.unlink()
            raise

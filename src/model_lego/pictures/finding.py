"""The picture files that names stand for: a file for itself, a folder for all in it, a pattern for what it finds."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path

from model_lego.pictures.left_out import (
    CLOSED,
    FOREIGN,
    HIDDEN,
    LINKED,
    LeftOut,
    by_suffix,
    hidden,
    holds_picture,
    listed,
)


@dataclass(frozen=True, slots=True)
class Found:
    """Paths of pictures, in the order of the names that stand for them.

    A name that stands for none is among the paths itself, and `missing` says why; `notes` say what was left out.
    """

    paths: tuple[str, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...]


def find_pictures(names: Iterable[str | Path]) -> Found:
    """The pictures that are named.

    Files are, whatever they are called; folders stand for the pictures in them and in their sub-folders, which are told
    by their suffix; patterns such as `photos/**/*.jpg` for what a shell finds.
    """
    search = _Search()
    for name in names:
        search.add(str(name))
    return Found(tuple(search.paths), search.missing, tuple(search.notes))


@dataclass(slots=True)
class _Search:
    """What was found until now."""

    paths: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Look for what a name stands for."""
        if os.path.lexists(name):
            self._add_path(name)
        elif not has_magic(name):
            self._add_missing(name, "there is no such file or folder")
        elif matches := sorted(glob(name, recursive=True)):  # noqa: PTH207  (Path.glob gives what is hidden)
            for path in matches:
                self._add_path(path)
        else:
            self._add_missing(name, "there is no file of this pattern")

    def _add_path(self, path: str) -> None:
        if not Path(path).is_dir():
            self.paths.append(path)
            return
        left_out: list[LeftOut] = []
        found = list(_in_folder(path, left_out))
        told = listed(left_out, Path(path))
        if not found:
            self._add_missing(path, "the folder holds no picture" + (f"; left out of it: {told}" if told else ""))
        elif told:
            self.notes.append(f"left out of '{path}': {told}")
        self.paths += found

    def _add_missing(self, name: str, reason: str) -> None:
        self.missing[name] = reason
        self.paths.append(name)


def _in_folder(root: str, left_out: list[LeftOut]) -> Iterator[str]:
    """The pictures in a folder and its sub-folders; everything else is noted, but what a system hides there."""

    def closed(error: OSError) -> None:
        left_out.append(LeftOut(Path(error.filename), CLOSED))

    for folder, folders, files in os.walk(root, onerror=closed):
        for path in (Path(folder, name) for name in sorted(files)):
            if by_suffix(path) and not hidden(path):
                yield str(path)
            elif by_suffix(path) or not hidden(path):
                left_out.append(LeftOut(path, HIDDEN if hidden(path) else FOREIGN))
        below = [Path(folder, name) for name in sorted(folders)]
        left_out += [LeftOut(path, HIDDEN) for path in below if hidden(path) and holds_picture(path)]
        left_out += [LeftOut(path, LINKED) for path in below if not hidden(path) and path.is_symlink()]
        folders[:] = [path.name for path in below if not hidden(path)]

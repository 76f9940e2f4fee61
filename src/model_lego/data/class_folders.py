"""Folders of classes: which are classes, in which order, the pictures of each, and what is left out and why."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from model_lego.errors import EmptySelection
from model_lego.pictures.left_out import (
    BESIDE,
    FOREIGN,
    HIDDEN,
    INSIDE,
    SPECIAL,
    UNREADABLE,
    LeftOut,
    by_suffix,
    first,
    hidden,
    holds_picture,
    listed,
)
from model_lego.pictures.reading import flaw

#: Threads that look at pictures: each may hold a large one.
LOOKING = 4


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of each class, and what was left out beside them."""

    by_class: Mapping[str, Sequence[Path]]
    left_out: Sequence[LeftOut]


def class_names(folder: Path) -> tuple[str, ...]:
    """The classes that a folder has folders for, by name; where all are numbers, by number."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not hidden(path))
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else names)


def pictures_of(folders: Mapping[str, Path], *, wrong: Callable[[Path], str | None] = flaw) -> Pictures:
    """The pictures in the folder of each class; of each is asked what is `wrong` with it.

    Raises EmptySelection for a class without any, and BadBatches as `flaw`.
    """
    by_class, left_out = {}, []

    def why_not(path: Path) -> LeftOut | None:
        reason = _no_picture(path)
        if reason is not None:
            return LeftOut(path, reason)
        detail = wrong(path)
        return None if detail is None else LeftOut(path, UNREADABLE, f" ({detail})")

    with ThreadPoolExecutor(LOOKING) as pool:
        for name, folder in folders.items():
            entries = _entries(folder) if folder.is_dir() else []
            reasons = list(pool.map(why_not, entries))
            mine = [reason for reason in reasons if reason is not None]
            by_class[name] = [path for path, reason in zip(entries, reasons, strict=True) if reason is None]
            if not by_class[name]:
                found = f"; left out of it: {listed(mine, folder)}" if mine else ""
                raise EmptySelection(f"class folder '{folder}' holds no image{found}")
            left_out += mine
    return Pictures(by_class, left_out)


def beside_classes(folder: Path) -> list[LeftOut]:
    """The pictures in a folder of class folders that are in none of these."""
    unseen = [LeftOut(path, HIDDEN) for path in _entries(folder) if hidden(path)]
    return unseen + [LeftOut(path, BESIDE) for path in _entries(folder) if not path.is_dir() and by_suffix(path)]


def notes_on(root: Path, names: Sequence[str], left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """What has to be said of an image folder: an order that is not that of the names, and all that is left out."""
    notes = []
    if list(names) != sorted(names):
        notes.append(
            f"the class folders of '{root}' are numbers and come by number ({first(names)}), not by name "
            f"({first(sorted(names))}); where a network learned them by name, give that order: --source-classes, or "
            "subset() in Python"
        )
    if left_out:
        notes.append(f"left out of '{root}': {listed(left_out, root)}")
    return tuple(notes)


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, by name, without the hidden things that a system leaves there and that are no pictures."""
    return [path for path in sorted(folder.iterdir()) if not hidden(path) or holds_picture(path)]


def _no_picture(path: Path) -> str | None:
    """Why something in a class folder is left out unread."""
    if hidden(path):
        return HIDDEN
    if path.is_dir():
        return INSIDE
    if not path.is_file():
        return SPECIAL
    return None if by_suffix(path) else FOREIGN

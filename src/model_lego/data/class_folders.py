"""Folders of classes: which are classes, in which order, the pictures of each, and what is left out and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    return in_order(path.name for path in folder.iterdir() if path.is_dir() and not hidden(path))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Classes by name; where all are numbers, by number."""
    by_name = sorted(names)
    return tuple(sorted(by_name, key=int) if all(name.isdecimal() for name in by_name) else by_name)


def pictures_of(folders: Mapping[str, Path], *, wrong: Callable[[Path], str | None] = flaw) -> Pictures:
    """The pictures in the folder of each class, which may hold none; of each is asked what is `wrong` with it.

    Raises BadBatches as `flaw`.
    """

    def why_not(path: Path) -> LeftOut | None:
        reason = _no_picture(path)
        return unreadable(path, wrong) if reason is None else LeftOut(path, reason)

    return looked_at({name: _entries(folder) if folder.is_dir() else [] for name, folder in folders.items()}, why_not)


def unreadable(path: Path, wrong: Callable[[Path], str | None] = flaw) -> LeftOut | None:
    """Why a file that should be a picture is left out, None where it is one."""
    detail = wrong(path)
    return None if detail is None else LeftOut(path, UNREADABLE, f" ({detail})")


def looked_at(files: Mapping[str, Sequence[Path]], why_not: Callable[[Path], LeftOut | None]) -> Pictures:
    """What of the files of each class is a picture, and `why_not` the others."""
    by_class: dict[str, list[Path]] = {}
    left_out: list[LeftOut] = []
    with ThreadPoolExecutor(LOOKING) as pool:
        for name, paths in files.items():
            reasons = list(pool.map(why_not, paths))
            by_class[name] = [path for path, reason in zip(paths, reasons, strict=True) if reason is None]
            left_out += [reason for reason in reasons if reason is not None]
    return Pictures(by_class, left_out)


def note_on_empty(where: str, found: Pictures, root: Path) -> tuple[str, ...]:
    """Which classes have no picture in a part of a data set; raises EmptySelection where none has any."""
    empty = [name for name, paths in found.by_class.items() if not paths]
    if len(empty) == len(found.by_class):
        beside = f"; left out of it: {listed(found.left_out, root)}" if found.left_out else ""
        raise EmptySelection(f"{where} holds no image{beside}")
    return (f"{where} holds no image of class {first(empty)}",) if empty else ()


def beside_classes(folder: Path) -> list[LeftOut]:
    """The pictures in a folder of class folders that are in none of these."""
    unseen = [LeftOut(path, HIDDEN) for path in _entries(folder) if hidden(path)]
    return unseen + [LeftOut(path, BESIDE) for path in _entries(folder) if not path.is_dir() and by_suffix(path)]


def notes_on(root: Path, names: Sequence[str], left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """What has to be said of an image folder: an order that is not that of the names, and all that is left out."""
    notes = []
    if list(names) != sorted(names):
        notes.append(
            f"the classes of '{root}' are numbers and come by number ({first(names)}), not by name "
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

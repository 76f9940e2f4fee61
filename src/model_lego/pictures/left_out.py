"""Files and folders among pictures that are not read: why, and how that is told."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_lego.text.inert import printable

#: What the name of a picture ends in.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff"),
)
#: Why something is left out, in the order in which it is said.
HIDDEN, INSIDE, LINKED, CLOSED, SPECIAL, FOREIGN, UNREADABLE, BESIDE = REASONS = (
    *("hidden", "sub-folders", "linked folders", "closed folders", "no regular files", "another suffix", "unreadable"),
    "in no class folder",
)
#: So many names are shown, of classes, and of what is left out for one reason.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder that is not read, and why."""

    path: Path
    reason: str
    detail: str = ""


def hidden(path: Path) -> bool:
    """Whether a system does not show it."""
    return path.name.startswith(".")


def by_suffix(path: Path) -> bool:
    """Whether it is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


def holds_picture(path: Path) -> bool:
    """Whether it is a picture by its name, or a folder with one in it."""
    try:
        return any(map(by_suffix, path.iterdir())) if path.is_dir() else by_suffix(path)
    except OSError:  # a system's own folder, which is closed to us
        return False


def listed(left_out: Iterable[LeftOut], root: Path) -> str:
    """Numbers and names, reason by reason."""
    names: dict[str, list[str]] = {reason: [] for reason in REASONS}
    for each in left_out:
        names[each.reason].append(printable(Path(os.path.relpath(each.path, root)).as_posix() + each.detail))
    return "; ".join(f"{reason} {len(some)}: {first(some)}" for reason, some in names.items() if some)


def first(names: Sequence[str]) -> str:
    """The first of some names."""
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")

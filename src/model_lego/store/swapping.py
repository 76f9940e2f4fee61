"""One folder put in the place of another: at once, by one process at a time, and read whole while that happens.

Where the system cannot exchange two folders (any but Linux, and some of its file systems), the old one is renamed
first: a process that is killed between the two renames leaves none, and the next that saves there puts it back.
Without `flock` (Windows) writers do not wait for each other and nothing is cleaned up.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from model_lego.errors import CorruptComponent

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Seconds to wait for a folder that another process holds, and how often a folder is read that is replaced meanwhile.
PATIENCE, TRIES = 10.0, 100
#: Of Linux: paths are as the process sees them, and the two change places.
AT_FDCWD, RENAME_EXCHANGE = -100, 2
#: What lies in a folder that a new one is made in: the new one, and while it is put in its place the old one.
NEW, OLD = "new", "old"

T = TypeVar("T")


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, beside the one that it is to replace; it is removed at the end, unless it was put there.

    What killed processes left of such folders is removed, too.
    """
    import tempfile  # with random numbers, hashes and more: readers of folders do without

    with ExitStack() as held:
        with locked(folder.parent):  # nobody takes a folder for left that was just made and is not held yet
            clean_up(folder)
            # Nobody else may read the temporary folder, so the new one lies in it, with ordinary permissions.
            holder = Path(tempfile.mkdtemp(prefix=f".{folder.name}.saving-", dir=folder.parent))
            held.enter_context(locked(holder))
        try:
            (holder / NEW).mkdir()
            yield holder / NEW
        finally:
            shutil.rmtree(holder, ignore_errors=True)


def put(fresh: Path, folder: Path) -> None:
    """Put a folder that was made in the place of another, or of none; on failure the old one is back."""
    if not folder.exists():
        fresh.rename(folder)
    elif not exchanged(fresh, folder):
        aside = fresh.with_name(OLD)
        folder.rename(aside)
        try:
            fresh.rename(folder)
        except BaseException:
            aside.rename(folder)
            raise
    _to_disk(folder.parent)


def all_to_disk(folder: Path) -> None:
    """Wait until a folder and the files in it are on the disk, so that it is whole after a power cut."""
    for path in (*folder.iterdir(), folder):
        _to_disk(path)


def exchanged(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system cannot."""
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    given = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    return bool(rename(*given) == 0)


@contextmanager
def locked(folder: Path, *, patience: float = PATIENCE) -> Iterator[bool]:
    """Hold a folder for a while, and tell whether it is held: not where another process keeps it, or none can hold it.

    The system gives it free when the process ends, in whatever way.
    """
    try:
        handle = os.open(folder, os.O_RDONLY) if fcntl else None
    except OSError:  # it may be written but not read, or is gone
        handle = None
    try:
        yield handle is not None and _taken(handle, time.monotonic() + patience)
    finally:
        if handle is not None:
            os.close(handle)


def read_whole(folder: Path, read: Callable[[], T]) -> T:
    """What is read of a folder, again where it was replaced meanwhile; raises CorruptComponent as `read` does."""
    for _ in range(TRIES):
        before = _identity(folder)
        try:
            return read()
        except CorruptComponent:
            if _identity(folder) == before:
                raise
    return read()


def _taken(handle: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        except OSError:  # a file system without locks
            return False


def clean_up(folder: Path) -> None:
    """Remove what killed processes left; where one was killed between two renames, put the old folder back."""
    left = re.compile(rf"\.{re.escape(folder.name)}\.saving-\w{{8}}")
    with suppress(OSError):  # of another user's, or gone meanwhile
        for holder in [path for path in folder.parent.iterdir() if left.fullmatch(path.name)]:
            with locked(holder, patience=0) as nobodys:
                if nobodys and not holder.is_symlink() and not {path.name for path in holder.iterdir()} - {NEW, OLD}:
                    _remove(holder, folder)


def _remove(holder: Path, folder: Path) -> None:
    if (holder / OLD).is_dir() and not folder.exists():
        (holder / OLD).rename(folder)
    shutil.rmtree(holder, ignore_errors=True)


def _to_disk(path: Path) -> None:
    if fcntl is None:  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _identity(folder: Path) -> tuple[int, int] | None:
    """What is another for another folder at the same place."""
    try:
        told = folder.stat()
    except (OSError, ValueError):  # of what is no path
        return None
    return told.st_ino, told.st_mtime_ns

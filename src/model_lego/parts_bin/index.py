"""The index of a bin: what its folders held when they were last read, so that ten thousand are listed at once.

The folders count. A row without a folder goes, a folder without a row or with another stamp is read again, an index
that is broken is made anew: it is never lost, and no writer has to keep it right.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path

from model_lego.names.bin_names import CARD, INDEX, MANIFEST, parts_in
from model_lego.parts_bin.binned import BinnedPart
from model_lego.progress import Progress, quiet, tracked
from model_lego.version import __version__

COLUMNS = "folder, stamp, facts"
#: Seconds to wait for another process that writes.
PATIENCE = 30.0
#: Of what a row holds; another number, and every folder is read again.
VERSION = 1
#: Folders that are read before what they say is written: a run that is stopped was not in vain.
PORTION = 500
#: What SQLite says where the file is as it should be, and the place or another process is in the way.
UNWRITABLE = frozenset(
    getattr(sqlite3, f"SQLITE_{why}") for why in ("BUSY", "CANTOPEN", "FULL", "IOERR", "LOCKED", "PERM", "READONLY")
)

Rows = Mapping[str, tuple[str, str]]


def indexed(folder: Path, *, progress: Progress = quiet) -> tuple[BinnedPart, ...]:
    """All parts of a bin by name and digest; the index is brought up to date first. Raises BadConfig for no bin."""
    rows = _rows(folder)  # before the folders are looked at: what is added meanwhile is not taken for gone
    stamps = {name: stamp(f"{folder}/{name}") for name in parts_in(folder)}
    known = {name: part for name, part in _parts(folder, rows) if rows[name][0] == stamps.get(name)}
    if gone := rows.keys() - stamps.keys():
        write(folder, (), gone)
    unknown = [name for name in stamps if name not in known]
    unread = tracked(unknown, "reading parts", progress)
    while portion := tuple(islice(unread, PORTION)):
        read = [_read(folder / name) for name in portion]
        write(folder, [(stamps[part.folder.name], part) for part in read])
        known |= {part.folder.name: part for part in read}
    return tuple(known[name] for name in stamps)


def rows_without_folder(folder: Path) -> list[str]:
    """Parts that the index of a bin has and the bin has not."""
    rows = _rows(folder)
    return sorted(rows.keys() - set(parts_in(folder)))


def write(folder: Path, parts: Iterable[tuple[str, BinnedPart]], gone: Iterable[str] = ()) -> None:
    """Write parts with their stamps into the index of their bin, and take rows out; a broken index is replaced.

    Where it cannot be written (a bin that may only be read), it stays as it is, and the folders are read again.
    """
    rows = [(part.folder.name, mark, json.dumps(part.facts())) for mark, part in parts]
    out = [(name,) for name in gone]
    try:
        _write(folder, rows, out)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in UNWRITABLE:
            return
        with suppress(sqlite3.Error, OSError):
            for name in (INDEX, f"{INDEX}-journal"):
                (folder / name).unlink(missing_ok=True)
            _write(folder, rows, out)


def stamp(folder: str | Path) -> str:
    """What is another for a part that was written again: times and sizes of its manifest and its card."""
    told = [f"{VERSION} {__version__}"]  # another version may read what this one cannot
    for name in (MANIFEST, CARD):
        try:
            found = os.stat(f"{folder}/{name}", follow_symlinks=False)  # noqa: PTH116  # twice for ten thousand folders
        except OSError:
            told.append("none")
        else:
            told.append(f"{found.st_mtime_ns}-{found.st_size}-{found.st_mode}")
    return " ".join(told)


def _read(folder: Path) -> BinnedPart:
    from model_lego.parts_bin.reading import read_part  # what checks manifests waits until a folder is new

    return read_part(folder)


def _parts(folder: Path, rows: Rows) -> Iterator[tuple[str, BinnedPart]]:
    """The parts of rows; those that cannot be read are left out, and their folders are read again."""
    for name, (_, facts) in rows.items():
        with suppress(ValueError, TypeError, LookupError):
            yield name, BinnedPart.from_facts(json.loads(facts), folder / name)


def _rows(folder: Path) -> Rows:
    """What the index says, nothing where there is none or it is broken."""
    if not (folder / INDEX).is_file():
        return {}
    try:
        with _opened(folder, "ro") as index:
            return {name: (mark, facts) for name, mark, facts in index.execute(f"SELECT {COLUMNS} FROM parts")}
    except (sqlite3.Error, ValueError):
        return {}


def _write(folder: Path, rows: list[tuple[str, str, str]], gone: list[tuple[str]]) -> None:
    if (folder / INDEX).is_symlink():
        raise sqlite3.DatabaseError("a link would lead out of the bin")
    with _opened(folder, "rwc") as index, index:
        index.execute("BEGIN IMMEDIATE")
        index.execute(f"CREATE TABLE IF NOT EXISTS parts ({COLUMNS}, PRIMARY KEY (folder)) WITHOUT ROWID")
        index.executemany("DELETE FROM parts WHERE folder = ?", gone)
        index.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", rows)


@contextmanager
def _opened(folder: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """The index; a file of a stranger's runs no code (`trusted_schema`)."""
    address = f"{(folder / INDEX).absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, timeout=PATIENCE, uri=True, isolation_level=None)) as index:
        index.execute("PRAGMA trusted_schema = OFF")
        yield index

"""The rows of a list of labelled pictures: a csv file of file,label[,split], checked as a whole."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_lego.errors import BadConfig

#: What a header may call the columns.
CALLED = {
    "file": ("file", "filename", "path", "image"),
    "label": ("label", "class"),
    "split": ("split", "part", "set"),
}
#: What a split may be called; the first of the held ones that there is is measured.
TRAIN, HELD = "train", ("test", "val", "valid", "validation")
#: So many mistakes are told.
TOLD = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A picture, its class, and where it is learned from or measured; by which line."""

    line: int
    path: Path
    label: str
    split: str = ""


def read_rows(file: Path) -> list[Row]:
    """The rows of a csv file, with or without a header, their paths from its folder on.

    Values may be separated by commas, semicolons or tabs. Raises BadConfig with the lines of all mistakes.
    """
    table = _table(file)
    columns = _columns(table[0][1])
    rows, mistakes = [], []
    for line, cells in table[1:] if _is_header(table[0][1]) else table:
        try:
            rows.append(_row(file.parent, line, cells, columns))
        except ValueError as error:
            mistakes.append((line, str(error)))
    mistakes += [*_repeated(rows), *_of_no_class(rows)]
    if mistakes:
        told = "; ".join(f"line {line}: {words}" for line, words in sorted(mistakes)[:TOLD])
        more = f"; and {len(mistakes) - TOLD} more" if len(mistakes) > TOLD else ""
        raise BadConfig(f"'{file}' cannot be used: {told}{more}")
    if not rows:
        raise BadConfig(f"'{file}' has a header, but no row")
    return rows


def _table(file: Path) -> list[tuple[int, list[str]]]:
    """Numbers of lines and their values, without empty lines."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            start = opened.readline()
            opened.seek(0)
            reader = csv.reader(opened, delimiter=max(",;\t", key=start.count), strict=True)
            table = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadConfig(f"'{file}' is no csv file in UTF-8: {error}") from error
    table = [(line, cells) for line, cells in table if any(cells)]
    if not table:
        raise BadConfig(f"'{file}' is empty; give rows of file,label or file,label,split")
    return table


def _is_header(cells: Sequence[str]) -> bool:
    given = {cell.lower() for cell in cells}
    return all(given & set(CALLED[name]) for name in ("file", "label"))


def _columns(first: Sequence[str]) -> list[str]:
    """What each column is, by the header, or by place where the first row is none; the empty text for any other."""
    if not _is_header(first):
        return list(CALLED)[: max(2, len(first))]
    known = {alias: name for name, aliases in CALLED.items() for alias in aliases}
    return [known.get(cell.lower(), "") for cell in first]


def _row(folder: Path, line: int, cells: Sequence[str], columns: Sequence[str]) -> Row:
    """One row; raises ValueError for a mistake in it."""
    if len(cells) != len(columns):
        raise ValueError(f"it has {len(cells)} values, where {len(columns)} were expected")
    values = dict(zip(columns, cells, strict=True))
    for name in ("file", "label", "split"):
        if values.get(name) == "":
            raise ValueError(f"there is no {name}")
    split = values.get("split", "").lower()
    if split and split not in (TRAIN, *HELD):
        raise ValueError(f"split '{values['split']}' is none of {', '.join((TRAIN, *HELD))}")
    path = folder / values["file"]
    if not path.exists():
        raise ValueError(f"there is no file '{values['file']}'")
    return Row(line, path, values["label"], split)


def _repeated(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Rows of a picture that an earlier one has."""
    first: dict[Path, int] = {}
    return [
        (row.line, f"'{row.path.name}' is named by line {first[row.path]} already")
        for row in rows
        if first.setdefault(row.path, row.line) != row.line
    ]


def _of_no_class(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Rows with a class that nothing can be learned of."""
    learned = {row.label for row in rows if row.split == TRAIN}
    measured = [row for row in rows if row.split in HELD]
    return [
        (row.line, f"class '{row.label}' is in no row of split {TRAIN}")
        for row in measured
        if learned and row.label not in learned
    ]

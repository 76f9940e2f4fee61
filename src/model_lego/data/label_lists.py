"""Lists of labelled pictures as data sets: csv files of file,label[,split]."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from model_lego.data.class_folders import Pictures, in_order, looked_at, note_on_empty, notes_on, unreadable
from model_lego.data.dividing import divided
from model_lego.data.label_rows import HELD, TRAIN, Row, read_rows
from model_lego.data.photo_sets import Reading
from model_lego.data.sets import DataSplit
from model_lego.errors import BadConfig


def open_label_list(file: Path, reading: Reading, *, seed: int = 0) -> DataSplit:
    """Read a csv file of pictures and their classes; without splits it is divided by `seed`, as a folder is.

    Pictures that cannot be read are left out, which the notes say. Raises BadConfig with the lines of all mistakes,
    EmptySelection where a part has no picture.
    """
    rows = read_rows(file)
    if not rows[0].split:
        return divided(file, _pictures(rows, in_order({row.label for row in rows})), reading, seed)
    classes = in_order({row.label for row in rows if row.split == TRAIN})
    held = [name for name in HELD if any(row.split == name for row in rows)]
    if not classes or not held:
        raise BadConfig(f"'{file}' has no row of split {f'{HELD[0]} (or {HELD[1]})' if classes else TRAIN}")
    parts = {name: _pictures((row for row in rows if row.split == name), classes) for name in (TRAIN, held[0])}
    notes = [f"of '{file}' split {held[0]} is measured; not used: {', '.join(held[1:])}"] if held[1:] else []
    for name, part in parts.items():
        notes += note_on_empty(f"split {name} of '{file}'", part, file.parent)
    notes += notes_on(file.parent, classes, [each for part in parts.values() for each in part.left_out])
    learned, test = (part.by_class for part in parts.values())
    return reading.split(learned, test, notes)


def _pictures(rows: Iterable[Row], classes: Sequence[str]) -> Pictures:
    files: dict[str, list[Path]] = {name: [] for name in classes}
    for row in rows:
        files[row.label].append(row.path)
    return looked_at(files, unreadable)

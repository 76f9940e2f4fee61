"""Class maps: which class of a network a class folder is, written down by the user in a csv, json or yaml file."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model_lego.errors import BadConfig

#: What may stand between folder and class; names have commas in them, so that these count last.
SEPARATORS = "\t;,"
#: A mapping from a folder to a class (its name, number or WordNet number; None leaves the folder out), or its file.
ClassMap = Mapping[str, str | int | None] | str | Path


@dataclass(frozen=True, slots=True)
class Entry:
    """A folder, the word for its class (None: it is left out), and where that is written."""

    folder: str
    word: str | None
    where: str = "class_map"


def read_class_map(given: ClassMap) -> tuple[Entry, ...]:
    """The entries of a class map; raises BadConfig with all that is wrong in it, by file and line."""
    if isinstance(given, str | Path):
        entries, wrong = _read(Path(given))
    else:
        entries, wrong = _taken(given)
    seen: dict[str, Entry] = {}
    for entry in entries:
        if entry.folder in seen:
            wrong.append(f"{entry.where}: '{entry.folder}' is there already ({seen[entry.folder].where})")
        seen[entry.folder] = entry
    if wrong:
        raise BadConfig("the class map cannot be used: " + "; ".join(wrong))
    if not entries:
        raise BadConfig(f"the class map {'is empty' if isinstance(given, Mapping) else f'{str(given)!r} is empty'}")
    return tuple(entries)


def _taken(given: Any) -> tuple[list[Entry], list[str]]:
    """The entries of a mapping, and what is wrong with others."""
    if not isinstance(given, Mapping):
        raise BadConfig(f"class_map is a mapping from folders to classes, or a file of one, not {given!r}")
    entries, wrong = [], []
    for folder, word in given.items():
        plain = word.item() if hasattr(word, "item") else word
        if isinstance(plain, bool) or not isinstance(plain, str | int | None) or not isinstance(folder, str):
            wrong.append(f"class_map maps a folder to a class by name or number, not {folder!r} to {word!r}")
        else:
            entries.append(Entry(folder, None if plain is None else str(plain)))
    return entries, wrong


def _read(file: Path) -> tuple[list[Entry], list[str]]:
    """The entries of a file, and what is wrong with other lines of it."""
    readers = {".csv": _of_csv, ".tsv": _of_csv, ".json": _of_json, ".yaml": _of_yaml, ".yml": _of_yaml}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise BadConfig(f"'{file}' is no class map; write folder and class into a .csv, .json or .yaml file")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"the class map '{file}' cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    try:
        rows = list(reader(text))
    except (csv.Error, yaml.YAMLError, json.JSONDecodeError) as error:
        raise BadConfig(f"the class map '{file}' cannot be read: {_in_a_line(error)}") from error
    except RecursionError:
        raise BadConfig(
            f"the class map '{file}' is nested too deeply: write one mapping from folders to classes"
        ) from None
    entries, wrong = [], []
    for line, row, says in rows:
        where = f"'{file}', line {line}"
        if len(row) != 2 or not row[0]:
            wrong.append(f"{where}: {says}")
        else:
            entries.append(Entry(str(row[0]), row[1] or None, where))
    return entries, wrong


#: Mappings and lists in one another that are read, to say what is wrong with them; more take time by their square.
DEEPEST = 10
#: A line's number, its folder and class (or what else is there), and what to say where these are no such two.
_Row = tuple[int, list[str | None], str]
#: Numbers of lines, and what is in them.
_Table = list[tuple[int, list[str | None]]]


def _of_csv(text: str) -> Iterator[_Row]:
    """Rows folder,class; a first row of these two words is a heading. Semicolons and tabs are commas as well."""
    best = max([_table(text, separator) for separator in SEPARATORS], key=_fits)
    if isinstance(best, csv.Error):
        raise best
    for number, (line, row) in enumerate(best):
        if any(row) and not (number == 0 and row == ["folder", "class"]):
            yield line, row, f"{len(row)} columns in place of folder,class (or folder;class, or with a tab)"


def _table(text: str, separator: str) -> _Table | csv.Error:
    """Numbers of lines and what is in them, or why they cannot be separated so."""
    reader = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        return [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        return error


def _fits(table: _Table | csv.Error) -> tuple[int, float]:
    """How well lines are folder and class: how many are two, then how much is separated at all; an error is told."""
    if isinstance(table, csv.Error):
        return 0, math.inf
    sizes = [len(row) for _, row in table]
    return sizes.count(2), sum(sizes)


def _of_json(text: str) -> Iterator[_Row]:
    """One object; it is read strictly, and then again as the YAML that it is, for the lines."""
    json.loads(text)
    return _of_yaml(text.replace("\t", " "))


class _Shallow(yaml.SafeLoader):
    """Reads no deeper than is said."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next value; raises RecursionError."""
        if self.depth == DEEPEST:
            raise RecursionError
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _of_yaml(text: str) -> Iterator[_Row]:
    """One mapping, its keys and values as they are written."""
    root = yaml.compose(text, Loader=_Shallow)
    if root is not None and not isinstance(root, yaml.MappingNode):
        yield root.start_mark.line + 1, [], "no mapping from folders to classes"
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        plain = isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
        nothing = value.tag == "tag:yaml.org,2002:null"
        row = [_whole(key.value), None if nothing else _whole(value.value)] if plain else []
        yield key.start_mark.line + 1, row, "no folder with one class, its name or number"


def _whole(text: str) -> str:
    """A text whose characters beyond 16 bits may have been written as two, as JSON has them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _in_a_line(error: Exception) -> str:
    """What a reader says, with the line, in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}: {getattr(error, 'problem', error)}"
    return " ".join(str(error).split())

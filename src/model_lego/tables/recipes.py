"""The recipe files of this folder, read and checked."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from model_lego.errors import BadConfig
from model_lego.tables import assembling, bricks, cutting, disassembling, graphs, joining
from model_lego.tables.recipe import SCALES, Kind, Materials, Row, Scale, Strict

#: Every kind of table.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "disassembling": disassembling.KIND,
        "assembling": assembling.KIND,
        "joining": joining.KIND,
        "cutting": cutting.KIND,
        "bricks": bricks.KIND,
        "graphs": graphs.KIND,
    }
)
S = TypeVar("S", bound=Strict)
FOLDER = Path(__file__).parent / "recipes"


class Table(Strict):
    """A table of the page: where it stands in the paper, what is measured, its rows at each scale.

    Without a `kind` it is a slot: what the paper has and is measured elsewhere, or not yet.
    """

    name: str
    title: str
    paper: str
    about: str
    kind: str | None = None
    rows: Mapping[Scale, tuple[SerializeAsAny[Row], ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _rows_of_their_kind(cls, written: Any) -> Any:
        if not isinstance(written, dict) or written.get("kind") is None:
            return written
        if written["kind"] not in KINDS:
            raise ValueError(f"kind '{written['kind']}' is unknown; use one of {', '.join(KINDS)}")
        row = KINDS[written["kind"]].row
        scales = {
            scale: [row(**given) for entry in rows or () for given in _varied(entry)]
            for scale, rows in written.get("rows", {}).items()
        }
        return written | {"rows": scales}

    @model_validator(mode="after")
    def _rows_differ(self) -> "Table":
        for scale, rows in self.rows.items():
            names = [row.id for row in rows]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"row '{twice[0]}' stands twice at scale {scale}")
        return self


def _varied(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row as written; one that says to `vary` some fields stands for a row with each of their values."""
    fixed = {key: value for key, value in entry.items() if key != "vary"}
    varied = entry.get("vary", {})
    for values in itertools.product(*varied.values()):
        yield fixed | dict(zip(varied, values, strict=True))


@dataclass(frozen=True, slots=True)
class Recipes:
    """All tables, and the data sets and trained networks of each scale."""

    tables: tuple[Table, ...]
    materials: Mapping[Scale, Materials]


def read_recipes(folder: Path = FOLDER) -> Recipes:
    """Read the recipes of a folder, by default those of the paper: sources.yaml, and a file for each table.

    Tables come in the order of their files' names. Raises BadConfig, also for a row that names a network which
    sources.yaml does not have.
    """
    file = folder / "sources.yaml"
    sources = _yaml(file)
    if not isinstance(sources, dict) or set(sources) - set(SCALES):
        raise BadConfig(f"recipe '{file.name}' has to say what there is at scale {' and '.join(SCALES)}")
    known = {scale: _checked(Materials, file, sources.get(scale, {"data": {}, "sources": {}})) for scale in SCALES}
    files = sorted(each for each in folder.glob("*.yaml") if each != file)
    tables = tuple(_checked(Table, each, _yaml(each)) for each in files)
    for table in tables:
        for scale, rows in table.rows.items():
            for row in rows:
                if strange := [name for name in row.needs if name not in known[scale].sources]:
                    raise BadConfig(
                        f"row '{row.id}' of table {table.name} wants '{strange[0]}', which sources.yaml lacks"
                    )
    return Recipes(tables, known)


def _yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadConfig(f"recipe '{file}' cannot be read: {error}") from error


def _checked(kind: type[S], file: Path, written: Any) -> S:
    try:
        return kind.model_validate(written)
    except (ValidationError, TypeError) as error:
        raise BadConfig(f"recipe '{file.name}' is wrong: {error}") from error

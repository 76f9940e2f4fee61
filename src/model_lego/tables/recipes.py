"""The recipe files of this folder, read and checked."""

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from model_lego.errors import BadConfig
from model_lego.tables import assembling, bricks, cutting, disassembling, joining
from model_lego.tables.recipe import DataRecipe, Kind, Row, Scale, SourceRecipe, Strict

#: Every kind of table.
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "disassembling": disassembling.KIND,
        "assembling": assembling.KIND,
        "joining": joining.KIND,
        "cutting": cutting.KIND,
        "bricks": bricks.KIND,
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
    def _rows_of_their_kind(cls, found: Any) -> Any:
        if not isinstance(found, dict) or found.get("kind") is None:
            return found
        if found["kind"] not in KINDS:
            raise ValueError(f"kind '{found['kind']}' is unknown; use one of {', '.join(KINDS)}")
        row = KINDS[found["kind"]].row
        scales = {
            scale: [row(**given) for entry in rows or () for given in _varied(entry)]
            for scale, rows in found.get("rows", {}).items()
        }
        return found | {"rows": scales}

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


class Materials(Strict):
    """Data sets and trained networks of one scale, by name."""

    data: Mapping[str, DataRecipe]
    sources: Mapping[str, SourceRecipe]

    @model_validator(mode="after")
    def _data_is_there(self) -> "Materials":
        for name, source in self.sources.items():
            if source.data not in self.data:
                raise ValueError(f"source '{name}' wants data '{source.data}', which is not described")
        return self


def read_table(file: Path) -> Table:
    """Read one recipe file; raises BadConfig."""
    return _checked(Table, file, _yaml(file))


def read_materials(file: Path) -> Mapping[Scale, Materials]:
    """Read the file of data sets and trained networks; raises BadConfig."""
    found = _yaml(file)
    return {scale: _checked(Materials, file, found.get(scale)) for scale in ("cpu", "paper")}


@cache
def tables() -> tuple[Table, ...]:
    """All tables, in the order of their files' names."""
    return tuple(read_table(file) for file in sorted(FOLDER.glob("[0-9]*.yaml")))


@cache
def materials() -> Mapping[Scale, Materials]:
    """Data sets and trained networks of each scale."""
    return read_materials(FOLDER / "sources.yaml")


def _yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BadConfig(f"recipe '{file}' cannot be read: {error}") from error


def _checked(kind: type[S], file: Path, found: Any) -> S:
    try:
        return kind.model_validate(found)
    except (ValidationError, TypeError) as error:
        raise BadConfig(f"recipe '{file.name}' is wrong: {error}") from error

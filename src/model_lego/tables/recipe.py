"""What a recipe file may say: data sets, trained networks, and the rows of a table."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from model_lego.parts.class_names import spelled
from model_lego.training import TrainingSettings

#: "paper": full networks, 200 epochs, for those with a GPU; "cpu": what two cores do in an evening.
Scale = Literal["paper", "cpu"]
SCALES: tuple[Scale, ...] = ("cpu", "paper")
Figures = Mapping[str, Any]


class Strict(BaseModel):
    """A piece of a recipe: unknown words are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataRecipe(Strict):
    """A data set: where it lies by default (as for `--data` of a command), and what is used of it.

    `per_class`: training images a class, all by default; `size`: side in pixels to which images are brought.
    """

    where: str
    per_class: int | None = Field(None, ge=1)
    size: int | None = Field(None, ge=1)


class SourceRecipe(Strict):
    """A trained network: how it is built and trained, on which classes (numbers of the data's) of which data set.

    `seeded`: trained anew for each seed of a row; otherwise once, with seed 0. `minutes`: what training it takes on two
    cores. `given`: its weights come from elsewhere and are not made here; they belong in the folder of sources.
    """

    network: str
    data: str
    arguments: Mapping[str, Any] = {}
    classes: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    training: Mapping[str, Any] = {}
    seeded: bool = False
    minutes: float | None = None
    given: bool = False

    @field_validator("training")
    @classmethod
    def _trains(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            TrainingSettings(**value)
        except TypeError as error:
            raise ValueError(str(error)) from error
        return value


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


class Row(Strict):
    """A row of a table; `published` holds figures of others that stand beside ours, by the title of their column."""

    seeds: tuple[int, ...] = (0,)
    published: Mapping[str, float | str] = {}

    #: What is no part of what is measured.
    beside: ClassVar[frozenset[str]] = frozenset({"seeds", "published"})

    @property
    def id(self) -> str:
        """What the row is called on the command line."""
        raise NotImplementedError

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the trained networks that it is measured on."""
        raise NotImplementedError

    @property
    def measured(self) -> dict[str, Any]:
        """All that the figures depend on, as JSON values."""
        plain: dict[str, Any] = json.loads(self.model_dump_json(exclude=set(self.beside)))
        return plain


def task(text: str) -> tuple[int, ...]:
    """Class numbers as a recipe writes them: "0-2,5"; raises BadConfig, ValueError."""
    return tuple(int(word) for word in spelled([text], ()))


class Part(Strict):
    """A component: classes (numbers of the data's) of a trained network."""

    source: str
    classes: str

    @property
    def id(self) -> str:
        """How it stands in the name of a row."""
        return f"{self.source}/{self.classes}"


class PartRow(Part, Row):
    """A row about one component."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The one network."""
        return (self.source,)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the page: its title, and the cell that the figures of one seed give (a number, text, or None)."""

    title: str
    cell: Callable[[Figures], float | str | None]
    digits: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of table: what its rows say, how one is measured with a seed, and how it is shown."""

    row: type[Row]
    measure: Callable[[Any, Any, int], dict[str, Any]]  # (bench, row, seed) -> figures
    columns: tuple[Column, ...]


def fingerprint(value: Any) -> str:
    """A short digest of JSON values, by which a result knows the recipe that it was made by."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

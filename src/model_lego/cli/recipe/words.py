"""What the options of commands are in a recipe: their types, where those of a command line are only text."""

import csv
import io
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from model_lego.attribution import Sampling
from model_lego.budgets.criteria import CRITERIA
from model_lego.cli.budget import LIMITS, parse_budget
from model_lego.cli.networks import parse_arguments
from model_lego.exporting.formats import FORMATS
from model_lego.heads.settings import HeadKind
from model_lego.parts.join_record import Clash, Labels, Layout, Scaling
from model_lego.pictures.sides import Interpolation
from model_lego.repairing.layerwise import Method

_SWITCH = "YAML takes yes, no, on and off for switches; write names of classes in quotation marks"


def _listed(value: Any) -> list[str]:
    """Names and numbers, one or several, as a command line has them."""
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, bool) for item in items):
        raise ValueError(_SWITCH)
    if not items or not all(isinstance(item, str | int) for item in items):
        raise ValueError("names or numbers, one or a list of some")
    return [str(item) for item in items]


def _joined(separator: str) -> BeforeValidator:
    """Text, a number, or a list of numbers with a separator between them."""

    def join(value: Any) -> str:
        items = value if isinstance(value, list) else [value]
        if not items or any(isinstance(item, bool) or not isinstance(item, str | int | float) for item in items):
            raise ValueError("text, a number, or a list of numbers")
        return separator.join(map(str, items))

    return BeforeValidator(join, json_schema_input_type=str | float | list[float])


def _pairs(value: Any) -> list[str]:
    """A mapping as key=value, each value as Python writes it; what is written so already stays."""
    if isinstance(value, Mapping):
        return [f"{key}={each!r}" for key, each in value.items()]
    return _listed(value)


def _arguments(value: Any) -> list[str]:
    pairs = _pairs(value)
    parse_arguments(pairs)
    return pairs


def _budget(value: Any) -> list[str]:
    limits = [f"{key}={each}" for key, each in value.items()] if isinstance(value, Mapping) else _listed(value)
    parse_budget(limits)
    return limits


def _groups(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return _listed(value)
    if wrong := [name for name in value if "=" in name]:
        raise ValueError(f"'{wrong[0]}' is no name of a group: leave = out")
    return [f"{name}={_row(_listed(members))}" for name, members in value.items()]


def _row(names: list[str]) -> str:
    """Names between commas; one that has commas itself in quotation marks."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()


def _below(value: str) -> str:
    """A file that an export writes: a recipe of somebody else writes nowhere but here."""
    path = PurePath(value)
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError(f"'{value}' does not lie below the folder in which the recipe is made; name a file there")
    return value


_Several = str | int | list[str | int]
Words = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=_Several)]
Arguments = Annotated[
    list[str], BeforeValidator(_arguments, json_schema_input_type=dict[str, JsonValue] | list[str] | str)
]
_Limits: Any = dict[Literal[tuple(LIMITS)], float | str]  # type: ignore[misc]
Budget = Annotated[list[str], BeforeValidator(_budget, json_schema_input_type=_Limits | list[str] | str)]
Groups = Annotated[list[str], BeforeValidator(_groups, json_schema_input_type=dict[str, _Several] | list[str] | str)]
Text = Annotated[str, BeforeValidator(lambda value: _listed(value)[0], json_schema_input_type=str | int)]
Numbers, Sides = Annotated[str, _joined(",")], Annotated[str, _joined("x")]
Positive, Natural = Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
More = Annotated[float, Field(gt=0)]

#: The type of an option by its name, for those that are not as the command line has them.
TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("classes", "source_classes", "order", "parts", "uncut", "add"), Words),
    **dict.fromkeys(("alpha", "beta", "linear_alpha", "linear_beta", "hard"), Share),
    **dict.fromkeys(
        ("calibration_per_class", "per_class", "multiple", "batch_size", "threads", "memory", "epochs"), Positive
    ),
    **dict.fromkeys(("cache", "random_crop"), Natural),
    **dict.fromkeys(("mean", "std", "batch"), Numbers),
    **dict.fromkeys(("size", "crop"), Sides),
    **dict.fromkeys(("tune_seconds", "learning_rate", "temperature"), More),
    "argument": Arguments,
    "budget": Budget,
    "criterion": Literal[tuple(CRITERIA)],
    "format": Literal[tuple(FORMATS)],
    "group": Groups,
    "head": HeadKind,
    "interpolation": Interpolation,
    "labels": Labels,
    "layout": Layout,
    "old": Text,
    "on_clash": Clash,
    "outsiders": Annotated[float, Field(gt=0, lt=1)],
    "repair": Method,
    "sampling": Sampling,
    "scaling": Scaling,
    "schedule": Literal["one-cycle", "cosine"],
    "seed": Annotated[int, Field(ge=0, lt=2**63)],
    "to": Annotated[str, AfterValidator(_below)],
    "tune_steps": Positive,
}

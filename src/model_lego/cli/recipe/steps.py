"""The steps that a recipe can have: commands that write what others take, their options as pydantic models."""

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from model_lego.cli.groups import spread
from model_lego.cli.recipe.words import TYPES

#: What a step gives to those that name it.
PART, WEIGHTS, STATISTICS, FILE = "part", "weights", "statistics", "file"
#: The commands, the module of each, and what it gives.
COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "train": ("train", WEIGHTS),
        "attribute": ("attribute", STATISTICS),
        "disassemble": ("disassemble", PART),
        "compress": ("compress", PART),
        "assemble": ("assemble", PART),
        "unite": ("unite", PART),
        "remove": ("remove", PART),
        "add": ("add", PART),
        "replace": ("add", PART),
        "finetune": ("finetune", PART),
        "distill": ("distill", PART),
        "export": ("export", FILE),
    }
)
#: Options that can name a step above, and what of it they take.
TAKES: Mapping[str, str] = MappingProxyType(
    {
        "weights": WEIGHTS,
        "stats": STATISTICS,
        "add": STATISTICS,
        **dict.fromkeys(
            ("model", "part", "parts", "component", "assembly", "new", "teacher", "student", "source"), PART
        ),
    }
)
#: Options that name a file or a folder, whose content decides what comes out.
PATHS = (*TAKES, "data", "class_map", "uncut", "latency_table")
#: What a recipe says otherwise, or what is printed only.
LEFT_OUT = frozenset({"out", "overwrite", "json", "resume", "curve", "curve_out", "baselines"})
#: What changes nothing but memory and time.
ASIDE = frozenset({"cache"})
#: What all steps can have in common.
SHARED = ("data", "class_map", "seed", "batch_size", "cache", "memory", "epochs", "uncut")

#: Exact types, no unknown keys.
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
StepName = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]


class Made(BaseModel):
    """What a recipe's result was made with and of; `result` is the sha256 of its manifest."""

    model_config = STRICT

    versions: dict[str, str] = {}
    machine: dict[str, str] = {}
    files: dict[str, str] = {}
    result: Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")] | None = None


@functools.cache
def function_of(command: str) -> Callable[..., None]:
    """The function of a command, with an argument for each option."""
    return spread(getattr(import_module(f"model_lego.cli.{COMMANDS[command][0]}"), f"{command}_command"))


@functools.cache
def defaults_of(command: str) -> Mapping[str, Any]:
    """What the options of a command are where nothing is said."""
    parameters = inspect.signature(function_of(command)).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}


@functools.cache
def model_of(command: str) -> type[BaseModel]:
    """The options of a command, as a recipe has them."""
    fields: dict[str, Any] = {"command": (Literal[command], Field(description=function_of(command).__doc__))}
    for name, given in inspect.signature(function_of(command)).parameters.items():
        if name not in LEFT_OUT:
            default = ... if given.default is inspect.Parameter.empty else None
            fields[name] = _field(name, given.annotation, default)
    return create_model(command.capitalize(), __config__=STRICT, **fields)


def _field(name: str, annotation: Any, default: Any) -> tuple[Any, Any]:
    """The type of an option, which is never none where it is given, and what is said of it."""
    kind, option = get_args(annotation)[:2]
    several = [each for each in get_args(kind) if each is not NoneType] if isinstance(kind, UnionType) else [kind]
    return TYPES.get(name, several[0]), Field(default, description=option.help)


def keys_of(command: str) -> tuple[str, ...]:
    """The keys that a step with this command can have."""
    return tuple(model_of(command).model_fields)


@functools.cache
def common_model() -> type[BaseModel]:
    """What all steps can have in common."""
    options = [inspect.signature(function_of(command)).parameters for command in COMMANDS]
    annotations = {name: next(each[name].annotation for each in options if name in each) for name in SHARED}
    fields: dict[str, Any] = {name: _field(name, annotation, None) for name, annotation in annotations.items()}
    return create_model("Common", __config__=STRICT, **fields)


@functools.cache
def recipe_model() -> type[BaseModel]:
    """A whole recipe."""
    any_step: Any = functools.reduce(operator.or_, map(model_of, COMMANDS))
    step: Any = Annotated[any_step, Field(discriminator="command")]
    steps = Annotated[dict[StepName, step], Field(min_length=1)]
    fields: dict[str, Any] = {
        "common": (common_model(), Field(None, description="options of all steps that have them and do not say more")),
        "steps": (steps, Field(description="the steps by their names; each can name those above it")),
        "result": (str, Field(None, description="the step whose part is written; by default the last that gives one")),
        "made": (Made, Field(None, description="what the result was made with and of: model-lego writes it")),
    }
    return create_model("Recipe", __config__=STRICT, **fields)


def schema() -> dict[str, Any]:
    """The JSON schema of recipes, by which editors complete and check them; common options are in no step then."""
    found = recipe_model().model_json_schema()
    for command in COMMANDS:
        described = found["$defs"][command.capitalize()]
        described["required"] = [name for name in described["required"] if name not in SHARED]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Recipe of Model LEGO", **found}

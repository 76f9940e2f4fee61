"""The manifest of a saved component or assembly: its records, and how it is written and read as JSON.

Nothing in a manifest is code to import: a builder is one of the allow-listed kinds with plain arguments, or the name
of the user's own code, which is there to be read.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, get_args

import torch
from pydantic import AfterValidator, Field, FiniteFloat, JsonValue, ValidationError, field_validator, model_validator

from model_lego.errors import CorruptComponent, SchemaTooNew
from model_lego.parts.class_names import repeated
from model_lego.parts.component import OWN_CODE, Preprocessing
from model_lego.parts.grouping import counted_as, group_of
from model_lego.parts.join_record import JoinRecord
from model_lego.parts.verdict import Verdict
from model_lego.pictures.geometry import Interpolation
from model_lego.store.exact import Count, Record, Size
from model_lego.store.migrations import MIGRATIONS
from model_lego.store.probe import ProbeRecord

#: The schema that is written.
SCHEMA = 4

_LINE = 110
_SHOWN = 3
_DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64"]

#: Data types that can be saved: name -> bytes of one element.
ITEM_BYTES: Mapping[str, int] = MappingProxyType({name: getattr(torch, name).itemsize for name in _DTYPES})

#: Arguments of torchvision and timm builders that would download weights, read a file or a pickle.
FETCHING = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "pretrained",
        "pretrained_backbone",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "weights",
        "weights_backbone",
    }
)

_WORD = r"[A-Za-z0-9_.\-]+"
#: Names that are built, and of the user's own code (`\P{C}`: no control characters), which are only read.
_BUILT = rf"(zoo|torchvision|timm|hf):{_WORD}|hf:{_WORD}/{_WORD}@[0-9a-f]{{40}}"
_READ = r"python:\P{C}+:[\w.]+"

R = TypeVar("R", bound=Record)


def _told_apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of logits, which tell them apart: none is empty, none is there twice."""
    if unnamed := [place for place, name in enumerate(names, 1) if not name.strip()]:
        raise ValueError(f"class {unnamed[0]} of {len(names)} has an empty name")
    if twice := repeated(names):
        raise ValueError(f"two classes have the same name, '{twice[0]}'")
    return names


#: Names of classes in the order of logits.
Names = Annotated[
    tuple[Annotated[str, Field(json_schema_extra={"pattern": r"\S"})], ...],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_told_apart),
]


class BuilderRecord(Record):
    """How to build the uncut network: a kind of names and a name, with JSON arguments.

    A name on the Hub (`hf:ORG/NAME`) has the commit that it was: it tells where the network is from, and nothing asks
    there. Or it is the user's own code that built it, which nothing runs because a file names it.
    """

    name: Annotated[str, Field(pattern=rf"\A({_BUILT}|{_READ})\z")]
    arguments: dict[Annotated[str, Field(pattern=r"\A\w+\z")], JsonValue]

    @model_validator(mode="after")
    def _fetches_nothing(self) -> "BuilderRecord":
        fetching = sorted(name for name in FETCHING & self.arguments.keys() if self.arguments[name])
        if fetching and not self.name.startswith(OWN_CODE):
            raise ValueError(f"{', '.join(fetching)} would fetch weights: leave it out, the tensors are in the file")
        return self


class CostRecord(Record):
    """Parameters, multiply-adds for one image, bytes of the tensors."""

    parameters: Count
    macs: Count
    bytes: Count


class PreprocessingRecord(Record):
    """Normalisation, size and crop of the images, as in `Preprocessing`."""

    mean: tuple[FiniteFloat, ...]
    std: tuple[FiniteFloat, ...]
    size: tuple[Size, Size] | Size | None
    crop: tuple[Size, Size] | None
    interpolation: Interpolation

    def noun(self) -> Preprocessing:
        """As the library takes it; raises BadConfig where that is none."""
        return Preprocessing(**self.model_dump())


class OriginRecord(Record):
    """Where a component comes from and how it was cut, as in `Origin`."""

    builder: BuilderRecord | None
    source_digest: str
    source_classes: tuple[str, ...]
    input_shape: Annotated[tuple[Size, ...], Field(min_length=1)]
    kept_outputs: dict[str, tuple[Count, ...]]
    kept_inputs: dict[str, tuple[Count, ...]]
    attributes: dict[str, dict[str, Count]]
    settings: dict[str, JsonValue]
    cost_before: CostRecord
    cost_after: CostRecord


class PartRecord(Record):
    """One component: its classes, the labels that they had in the source, and its origin."""

    classes: Names
    labels: tuple[int, ...]
    preprocessing: PreprocessingRecord | None
    memory_format: Literal["contiguous", "channels_last"]
    origin: OriginRecord
    verdict: Verdict | None

    @model_validator(mode="after")
    def _one_label_a_class(self) -> "PartRecord":
        if len(self.classes) != len(self.labels):
            raise ValueError(f"{len(self.classes)} classes but {len(self.labels)} labels")
        return self


class AssemblyRecord(Record):
    """What an assembly adds to its parts; its head `reads` layers of each, or the logits where it names none.

    It is `made_of` parts of the manifest, by their numbers from 0, and of assemblies.
    """

    layout: Literal["parallel", "padded"]
    classes: Names
    terms: Names
    groups: dict[str, tuple[str, ...]]
    made_of: "Annotated[tuple[int | AssemblyRecord, ...], Field(min_length=1)]"
    head: str
    head_reads: tuple[tuple[str, ...], ...]
    joined: JoinRecord

    @model_validator(mode="after")
    def _has_its_classes(self) -> "AssemblyRecord":
        told = counted_as(self.terms, group_of(self.groups))
        if set(told) != set(self.classes):
            raise ValueError("its classes are not its terms by groups")
        if self.layout == "padded" and not (len(self.made_of) == 1 and isinstance(self.made_of[0], int)):
            raise ValueError("a padded assembly is one network")
        return self

    def places(self, before: str = "") -> Iterator[tuple[int, str]]:
        """The number of every part, and its path inside the assembly with a dot behind it, in the order of its own."""
        for number, inner in enumerate(self.made_of):
            path = f"{before}padded." if self.layout == "padded" else f"{before}parts.{number}."
            if isinstance(inner, int):
                yield inner, path
            else:
                yield from inner.places(path)


class TensorRecord(Record):
    """Shape and data type of one saved tensor."""

    dtype: str
    shape: tuple[Count, ...]

    @field_validator("dtype")
    @classmethod
    def _known(cls, dtype: str) -> str:
        if dtype not in ITEM_BYTES:
            raise ValueError(f"tensors of type {dtype} cannot be saved; types are {', '.join(ITEM_BYTES)}")
        return dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor's values."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


class WeightsRecord(Record):
    """The file of the tensors: always next to the manifest, never anywhere else."""

    file: Annotated[str, Field(pattern=r"\A(model|statistics|statistics-\d{5}-of-\d{5})\.safetensors\z")]
    bytes: Count
    sha256: Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class Manifest(Record):
    """Everything about a saved component or assembly but its tensors."""

    format: Literal["model-lego"]
    schema_number: Annotated[Literal[4], Field(alias="schema")]
    kind: Literal["component", "assembly"]
    parts: Annotated[tuple[PartRecord, ...], Field(min_length=1)]
    assembly: AssemblyRecord | None
    tensors: dict[str, TensorRecord]
    aliases: dict[str, str]
    weights: WeightsRecord
    versions: dict[str, str]
    probe: ProbeRecord | None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Manifest":
        if (self.kind == "assembly") != (self.assembly is not None):
            raise ValueError(f"kind is {self.kind} but 'assembly' says otherwise")
        numbers = [0] if self.assembly is None else [number for number, _ in self.assembly.places()]
        if numbers != list(range(len(self.parts))):
            raise ValueError(f"{len(self.parts)} parts where there must be {len(numbers)}, each once and in order")
        if wrong := (self.aliases.keys() & self.tensors.keys()) | (set(self.aliases.values()) - self.tensors.keys()):
            raise ValueError(f"aliases that are tensors, or of no tensor: {', '.join(sorted(wrong)[:_SHOWN])}")
        needed = sum(record.nbytes for record in self.tensors.values())
        if needed > self.weights.bytes:
            raise ValueError(f"the tensors need {needed:,} bytes, the weights file has {self.weights.bytes:,}")
        return self

    def prefixes(self) -> tuple[str, ...]:
        """Give the path of every part inside the component or assembly, with a dot behind it if there is one."""
        return ("",) if self.assembly is None else tuple(path for _, path in self.assembly.places())

    def numbers(self) -> tuple[str, ...]:
        """Give what people call every part: 1, 2.1 for the first one of part 2; nothing where there is only one."""
        steps = [[int(step) + 1 for step in path.split(".") if step.isdecimal()] for path in self.prefixes()]
        return tuple(".".join(map(str, each)) for each in steps)


def parse_manifest(data: bytes, where: str, *records: type[R]) -> R:
    """Read a manifest from JSON; `where` names it in messages, `records` say what it may hold, each by its kind.

    Raises:
        CorruptComponent: it is not JSON, or not a manifest.
        SchemaTooNew: a newer version of this library wrote it.
    """
    try:
        raw = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptComponent(f"{where} is not valid JSON: {error}") from None
    if not isinstance(raw, dict) or type(raw.get("schema")) is not int:
        raise CorruptComponent(f"{where} has no schema number: it is not a manifest of this library")
    if raw["schema"] > SCHEMA:
        raise SchemaTooNew(
            f"{where} has schema {raw['schema']}, this version reads up to {SCHEMA}: install a newer model-lego"
        )
    try:
        return validated(_migrated(raw, where), _of_its_kind(raw.get("kind"), where, records))
    except ValueError as error:
        raise CorruptComponent(f"{where}: {error}") from None


def _of_its_kind(kind: object, where: str, records: Sequence[type[R]]) -> type[R]:
    """The record that holds manifests of a kind; where that is no text, the first one says so."""
    kinds = {name: record for record in records for name in get_args(record.model_fields["kind"].annotation)}
    if isinstance(kind, str) and kind not in kinds:
        raise CorruptComponent(f"{where} is of kind '{kind}', where {' or '.join(kinds)} was expected")
    return kinds.get(str(kind), records[0])


def validated(raw: Mapping[str, Any], record: type[R]) -> R:
    """Check a manifest given as plain JSON values.

    Raises:
        ValueError: a value is missing, unknown or wrong; the message names each by its path.
    """
    try:
        # Through JSON text, so that lists may stand for tuples while every other type stays exact.
        return record.model_validate_json(json.dumps(raw, allow_nan=False))
    except ValidationError as error:
        raise ValueError("; ".join(_complaints(error))) from None
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def to_json(manifest: Record) -> str:
    """Write a manifest as JSON: sorted keys, short values on one line; the same manifest gives the same text."""
    return _pretty(manifest.model_dump(mode="json", by_alias=True), 0) + "\n"


def _migrated(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """Lift a manifest of an older schema to today's."""
    while raw["schema"] < SCHEMA:
        number = raw["schema"]
        if number not in MIGRATIONS:
            raise CorruptComponent(f"{where} has schema {number}, which never was one")
        raw = MIGRATIONS[number](raw) | {"schema": number + 1}
    return raw


def _complaints(error: ValidationError) -> Iterator[str]:
    """Say in words what is wrong, at most three complaints."""
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:_SHOWN]:
        path = ".".join(str(step) for step in one["loc"])
        words = one["msg"].removeprefix("Value error, ")
        yield f"{path}: {words}" if path else words
    if error.error_count() > _SHOWN:
        yield f"and {error.error_count() - _SHOWN} more"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _pretty(value: Any, depth: int) -> str:
    """Indent objects and lists, but keep what fits, and every list of numbers, on one line."""
    line = json.dumps(value, sort_keys=True, allow_nan=False)
    flat = isinstance(value, list) and not any(isinstance(item, dict | list | str) for item in value)
    if flat or not isinstance(value, dict | list) or len(line) + 2 * depth <= _LINE:
        return line
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, list):
        return "[\n" + ",\n".join(pad + _pretty(item, depth + 1) for item in value) + f"\n{end}]"
    items = (f"{pad}{json.dumps(key)}: {_pretty(value[key], depth + 1)}" for key in sorted(value))
    return "{\n" + ",\n".join(items) + f"\n{end}}}"

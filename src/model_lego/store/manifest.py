"""The manifest of a saved component or assembly: its records.

Nothing in a manifest is code to import: a builder is one of the allow-listed kinds with plain arguments, or the name
of the user's own code, which is there to be read.
"""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat, JsonValue, field_validator, model_validator

from model_lego.parts.grouping import counted_as, group_of, repeated
from model_lego.parts.join_record import JoinRecord
from model_lego.parts.origin import OWN_CODE, Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.provenance import Provenance
from model_lego.parts.verdict import Verdict
from model_lego.pictures.sides import Interpolation
from model_lego.store.exact import Count, Record, Size

#: The schema that is written.
SCHEMA = 6

_SHOWN = 3

#: Data types that can be saved: name -> bytes of one element.
ITEM_BYTES: Mapping[str, int] = MappingProxyType(
    {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "complex64": 8}
    | {"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1}
)

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
_NAME = rf"^({_BUILT}|{_READ})$"
#: The same as all regular expressions of JSON Schema have it.
_PUBLISHED = {"pattern": _NAME.replace(r"\P{C}", r"[^\x00-\x1f\x7f]")}


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

    name: Annotated[str, Field(pattern=_NAME, json_schema_extra=_PUBLISHED)]
    arguments: dict[Annotated[str, Field(pattern=r"^\w+$")], JsonValue]

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
    provenance: Provenance

    def built_by(self) -> Builder | None:
        """What builds the uncut network again, if that is known."""
        return Builder(self.builder.name, dict(self.builder.arguments)) if self.builder else None


class PartRecord(Record):
    """One component: its classes, the labels that they had in the source, and its origin.

    `digest` is the sha256 of the weights file that it has alone, empty in parts of older schemas.
    """

    classes: Names
    labels: tuple[int, ...]
    preprocessing: PreprocessingRecord | None
    memory_format: Literal["contiguous", "channels_last"]
    origin: OriginRecord
    verdict: Verdict | None
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]

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

    file: Annotated[str, Field(pattern=r"^(model|statistics|statistics-\d{5}-of-\d{5})\.safetensors$")]
    bytes: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ProbeRecord(Record):
    """The logits of a part for a seeded image of a shape (channels x height x width), and a digest of its operators.

    These are those of one version of torch on one machine.
    """

    shape: Annotated[tuple[Size, ...], Field(min_length=1)]
    logits: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    operators: str
    ran_on: str  # torch's version and the kind of processor: only there are operators compared


class Manifest(Record):
    """Everything about a saved component or assembly but its tensors."""

    format: Literal["model-lego"]
    schema_number: Annotated[Literal[6], Field(alias="schema")]
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
        if self.assembly is None and self.parts[0].digest not in ("", self.weights.sha256):
            raise ValueError("a component's digest is the sha256 of its weights, and here it is another")
        numbers = [0] if self.assembly is None else [number for number, _ in self.assembly.places()]
        if numbers != list(range(len(self.parts))):
            raise ValueError(f"{len(self.parts)} parts where there must be {len(numbers)}, each once and in order")
        if wrong := (self.aliases.keys() & self.tensors.keys()) | (set(self.aliases.values()) - self.tensors.keys()):
            raise ValueError(f"aliases that are tensors, or of no tensor: {', '.join(sorted(wrong)[:_SHOWN])}")
        classes = self.parts[0].classes if self.assembly is None else self.assembly.classes
        if self.probe is not None and len(self.probe.logits) != len(classes):
            raise ValueError(f"its probe has {len(self.probe.logits)} logits for {len(classes)} class names")
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

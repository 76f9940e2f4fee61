"""The manifest of saved statistics."""

from typing import Annotated, Literal

from pydantic import Field

from model_lego.store.exact import Count, Record, Size
from model_lego.store.manifest import WeightsRecord


class LayerRecord(Record):
    """Numbers of input and output channels and of groups of one layer, and what is held of it."""

    inputs: Size
    outputs: Size
    groups: Size
    kind: Literal["pairs", "vectors"]


class StatisticsManifest(Record):
    """Everything about saved statistics but their sums."""

    format: Literal["model-lego"]
    schema_number: Annotated[Literal[6], Field(alias="schema")]
    kind: Literal["statistics"]
    source: str
    classes: Annotated[tuple[Count, ...], Field(min_length=1)]
    counts: tuple[Count, ...]
    sampling: Literal["confident", "random", "all"]
    fallbacks: tuple[Count, ...]
    layers: dict[str, LayerRecord]
    files: Annotated[tuple[WeightsRecord, ...], Field(min_length=1)]
    versions: dict[str, str]

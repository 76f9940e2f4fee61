"""Statistics on disk: computed once, then any classes and thresholds are located from the file."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from model_lego.attribution import ContributionStats
from model_lego.attribution.statistics import LayerStats
from model_lego.digest import digest_of_bytes
from model_lego.errors import CorruptComponent
from model_lego.store.files import MANIFEST, STATISTICS, read_manifest, read_weights, replacing, write_weights
from model_lego.store.manifest import (
    SCHEMA,
    Count,
    Record,
    Size,
    TensorRecord,
    WeightsRecord,
    parse_manifest,
    to_json,
    validated,
)
from model_lego.store.records import versions
from model_lego.store.tensors import dtype_name

#: The tensors of a layer: sums for each pair of channels, or the vectors that give them and the weights.
PAIRS, VECTORS = ("sums",), ("positive", "negative", "weight")


class LayerRecord(Record):
    """Numbers of input and output channels and of groups of one layer."""

    inputs: Size
    outputs: Size
    groups: Size


class StatisticsManifest(Record):
    """Everything about saved statistics but their sums."""

    format: Literal["model-lego"]
    schema_number: Annotated[Literal[1], Field(alias="schema")]
    kind: Literal["statistics"]
    source: str
    classes: Annotated[tuple[Count, ...], Field(min_length=1)]
    counts: tuple[Count, ...]
    sampling: Literal["confident", "random", "all"]
    fallbacks: tuple[Count, ...]
    layers: dict[str, LayerRecord]
    tensors: dict[str, TensorRecord]
    weights: WeightsRecord
    versions: dict[str, str]


def save_statistics(stats: ContributionStats, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Save statistics as `statistics.safetensors` and `manifest.json`, all or nothing; gives the folder.

    Saving the same statistics twice gives the same bytes. Raises OutputExists.
    """
    folder = Path(folder)
    tensors = {
        f"{name}/{kind}": value
        for name, layer in stats.layers.items()
        for kind in (*PAIRS, *VECTORS)
        if (value := getattr(layer, kind)) is not None
    }
    with replacing(folder, overwrite=overwrite) as fresh:
        data = write_weights(tensors, fresh / STATISTICS)
        manifest = validated(_described(stats, tensors, data), StatisticsManifest)
        (fresh / MANIFEST).write_text(to_json(manifest), encoding="utf-8", newline="\n")
    return folder


def load_statistics(folder: str | Path) -> ContributionStats:
    """Load what `save_statistics` wrote. Raises CorruptComponent, SchemaTooNew."""
    folder = Path(folder)
    manifest = parse_manifest(read_manifest(folder), str(folder / MANIFEST), StatisticsManifest)
    tensors = read_weights(folder, manifest.weights, manifest.tensors)
    if len(manifest.counts) != len(manifest.classes):
        raise CorruptComponent(
            f"{folder}: {len(manifest.classes)} classes but {len(manifest.counts)} counts of samples"
        )
    return ContributionStats(
        classes=manifest.classes,
        counts=manifest.counts,
        layers={
            name: _layer(folder, name, record, tensors, len(manifest.classes))
            for name, record in manifest.layers.items()
        },
        sampling=manifest.sampling,
        source=manifest.source,
        fallbacks=manifest.fallbacks,
    )


def _described(stats: ContributionStats, tensors: dict[str, Tensor], data: bytes) -> dict[str, Any]:
    return {
        "format": "model-lego",
        "schema": SCHEMA,
        "kind": "statistics",
        "source": stats.source,
        "classes": list(stats.classes),
        "counts": list(stats.counts),
        "sampling": stats.sampling,
        "fallbacks": list(stats.fallbacks),
        "layers": {
            name: {"inputs": layer.inputs, "outputs": layer.outputs, "groups": layer.groups}
            for name, layer in stats.layers.items()
        },
        "tensors": {name: {"dtype": dtype_name(one), "shape": list(one.shape)} for name, one in tensors.items()},
        "weights": {"file": STATISTICS, "bytes": len(data), "sha256": digest_of_bytes(data)},
        "versions": versions([]),
    }


def _layer(folder: Path, name: str, record: LayerRecord, tensors: dict[str, Tensor], classes: int) -> LayerStats:
    """The sums of one layer; raises CorruptComponent where they do not fit its numbers of channels."""
    found = {kind: tensors.get(f"{name}/{kind}") for kind in (*PAIRS, *VECTORS)}
    width = record.outputs // record.groups
    shapes = {
        "sums": (record.inputs, classes, width),
        "positive": (classes, record.inputs),
        "negative": (classes, record.inputs),
        "weight": (record.inputs, width),
    }
    given = tuple(kind for kind, value in found.items() if value is not None)
    fits = all(tuple(value.shape) == shapes[kind] for kind, value in found.items() if value is not None)
    if given not in (PAIRS, VECTORS) or not fits:
        raise CorruptComponent(f"{folder}: the sums of layer '{name}' do not fit its {record.inputs} input channels")
    for kind in given:
        if not bool(torch.isfinite(tensors[f"{name}/{kind}"]).all()):
            raise CorruptComponent(f"{folder}: the sums of layer '{name}' contain NaN or infinite values")
    return LayerStats(inputs=record.inputs, outputs=record.outputs, groups=record.groups, **found)

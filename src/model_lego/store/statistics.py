"""Statistics on disk: computed once, then any classes and thresholds are located from the file."""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model_lego.attribution import ContributionStats
from model_lego.attribution.statistics import LayerStats
from model_lego.errors import CorruptComponent
from model_lego.store.files import MANIFEST, read_manifest, record_of
from model_lego.store.manifest import SCHEMA
from model_lego.store.manifest_text import parse_manifest, to_json, validated
from model_lego.store.outputs import writing
from model_lego.store.records import versions
from model_lego.store.replacing import replacing
from model_lego.store.statistics_manifest import LayerRecord, StatisticsManifest
from model_lego.store.swapping import read_whole
from model_lego.store.weights import map_weights, refuse_differences, stream_weights

FILE = "statistics.safetensors"
#: What is summed of a layer: a number for each pair of channels, or the vectors that give them with the weights.
KINDS = {"pairs": ("sums",), "vectors": ("positive", "negative")}


def save_statistics(stats: ContributionStats, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Save statistics as `statistics.safetensors` and `manifest.json`, all or nothing; gives the folder.

    Saving the same statistics twice gives the same bytes. Raises CannotWrite, OutputExists.
    """
    folder = Path(folder)
    with replacing(folder, overwrite=overwrite) as fresh:
        write_shard(stats, fresh / FILE)
        seal(stats, [fresh / FILE])
    return folder


def shard_names(count: int) -> list[str]:
    """Names of the files of statistics that lie in several, or in one."""
    return (
        [FILE]
        if count == 1
        else [f"statistics-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
    )


def write_shard(stats: ContributionStats, path: Path, *, first: bool = True) -> None:
    """Write the sums of some classes, whole or not at all; the weights, which all share, go into the first shard.

    The classes of a layer lie in one tensor: of many small ones, mapping alone would make a page or more resident each.
    """
    tensors = {
        f"{name}/{kind}": torch.stack(getattr(layer, kind))
        for name, layer in stats.layers.items()
        for kind in _kinds(layer)
    }
    if first:
        tensors |= {
            f"{name}/weight": layer.weight.cpu().contiguous()
            for name, layer in stats.layers.items()
            if layer.weight is not None
        }
    fresh = path.with_suffix(".new")
    with writing(path):
        stream_weights(tensors, fresh)
        fresh.replace(path)


def seal(stats: ContributionStats, files: Sequence[Path]) -> None:
    """Write the manifest of statistics whose sums lie in `files`, beside these."""
    raw = {
        "format": "model-lego",
        "schema": SCHEMA,
        "kind": "statistics",
        "source": stats.source,
        "classes": list(stats.classes),
        "counts": list(stats.counts),
        "sampling": stats.sampling,
        "fallbacks": list(stats.fallbacks),
        "layers": {
            name: {
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "groups": layer.groups,
                "kind": "pairs" if layer.weight is None else "vectors",
            }
            for name, layer in stats.layers.items()
        },
        "files": [record_of(path) for path in files],
        "versions": versions([]),
    }
    text = to_json(validated(raw, StatisticsManifest))
    (files[0].parent / MANIFEST).write_text(text, encoding="utf-8", newline="\n")


def load_statistics(folder: str | Path) -> ContributionStats:
    """Load saved statistics; their sums stay in the file until they are used. Raises CorruptComponent, SchemaTooNew."""
    folder = Path(folder)
    manifest, shards = read_whole(folder, partial(_read, folder))
    if len(manifest.counts) != len(manifest.classes):
        raise CorruptComponent(
            f"{folder}: {len(manifest.classes)} classes but {len(manifest.counts)} counts of samples"
        )
    for place, (shard, file) in enumerate(zip(shards, manifest.files, strict=True)):
        expected = [name for layer, record in manifest.layers.items() for name in _names(layer, record, place == 0)]
        refuse_differences(folder, have=shard, expected=dict.fromkeys(expected), holder="manifest", file=file.file)
    return ContributionStats(
        classes=manifest.classes,
        counts=manifest.counts,
        layers={name: _layer(folder, name, record, shards, manifest) for name, record in manifest.layers.items()},
        sampling=manifest.sampling,
        source=manifest.source,
        fallbacks=manifest.fallbacks,
    )


def _read(folder: Path) -> tuple[StatisticsManifest, list[dict[str, Tensor]]]:
    manifest = parse_manifest(read_manifest(folder), str(folder / MANIFEST), StatisticsManifest)
    return manifest, [map_weights(folder, record) for record in manifest.files]


def _kinds(layer: LayerStats) -> tuple[str, ...]:
    return KINDS["pairs" if layer.weight is None else "vectors"]


def _names(layer: str, record: LayerRecord, first: bool) -> list[str]:
    weight = [f"{layer}/weight"] if first and record.kind == "vectors" else []
    return [*(f"{layer}/{kind}" for kind in KINDS[record.kind]), *weight]


def _layer(
    folder: Path, name: str, record: LayerRecord, shards: Sequence[dict[str, Tensor]], manifest: StatisticsManifest
) -> LayerStats:
    """The sums of one layer; raises CorruptComponent where they do not fit its numbers of channels."""
    matrix = (record.inputs, record.outputs // record.groups)
    found: dict[str, Any] = dict.fromkeys(("sums", "positive", "negative", "weight"))
    for kind in KINDS[record.kind]:
        stacks = [shard[f"{name}/{kind}"] for shard in shards]
        found[kind] = tuple(chain.from_iterable(stack.unbind() if stack.dim() else () for stack in stacks))
    if record.kind == "vectors":
        found["weight"] = shards[0][f"{name}/weight"]
    shapes = {tuple(tensor.shape) for kind in KINDS[record.kind] for tensor in found[kind]}
    numbers = {len(found[kind]) for kind in KINDS[record.kind]}
    fits = shapes == ({matrix} if record.kind == "pairs" else {(record.inputs,)}) and numbers == {len(manifest.classes)}
    if not fits or (record.kind == "vectors" and tuple(found["weight"].shape) != matrix):
        raise CorruptComponent(
            f"{folder}: the sums of layer '{name}' do not fit its {record.inputs} input channels and "
            f"{len(manifest.classes)} classes"
        )
    return LayerStats(inputs=record.inputs, outputs=record.outputs, groups=record.groups, **found)

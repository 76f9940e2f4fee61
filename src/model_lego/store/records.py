"""Between the nouns (Component, Assembly) and the records of their manifest."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from model_lego.digest import digest_of_bytes
from model_lego.errors import CorruptComponent
from model_lego.parts.assembly import Assembly, leaves
from model_lego.parts.component import Component
from model_lego.parts.origin import Cost, Origin
from model_lego.store.manifest import SCHEMA, Manifest, OriginRecord, PartRecord
from model_lego.store.manifest_text import validated
from model_lego.store.probe import probe_of
from model_lego.store.tensors import dtype_name, is_channels_last, named_tensors, split_aliases
from model_lego.store.weights import weights_bytes
from model_lego.version import __version__


def manifest_of(
    part: Component | Assembly, tensors: Mapping[str, Tensor], aliases: Mapping[str, str], weights: Mapping[str, Any]
) -> Manifest:
    """Describe a component or assembly whose `tensors` were written into the file that `weights` tells of.

    Raises:
        ValueError: something in it cannot be written, such as a setting that is not a JSON value.
    """
    whole = isinstance(part, Assembly)
    parts, probe = list(leaves(part)), probe_of(part)
    digests = [part_digest(component) for component in parts] if whole else [weights["sha256"]]
    raw = {
        "format": "model-lego",
        "schema": SCHEMA,
        "kind": "assembly" if whole else "component",
        "parts": [_part(component, digest) for component, digest in zip(parts, digests, strict=True)],
        "assembly": _assembly(part, count()) if isinstance(part, Assembly) else None,
        "tensors": {name: {"dtype": dtype_name(one), "shape": list(one.shape)} for name, one in tensors.items()},
        "aliases": dict(aliases),
        "weights": dict(weights),
        "versions": versions(parts),
        "probe": probe and probe.model_dump(),
    }
    return validated(raw, Manifest)


def component_from(record: PartRecord, module: nn.Module) -> Component:
    """Make a component of its record and its network."""
    return Component(
        module,
        classes=record.classes,
        labels=record.labels,
        origin=_origin_from(record.origin),
        preprocessing=record.preprocessing.noun() if record.preprocessing else None,
        verdict=record.verdict,
    )


def _origin_from(record: OriginRecord) -> Origin:
    return Origin(
        builder=record.built_by(),
        source_digest=record.source_digest,
        source_classes=record.source_classes,
        input_shape=record.input_shape,
        kept_outputs=record.kept_outputs,
        kept_inputs=record.kept_inputs,
        attributes=record.attributes,
        settings=record.settings,
        cost_before=Cost(**record.cost_before.model_dump()),
        cost_after=Cost(**record.cost_after.model_dump()),
        provenance=record.provenance,
    )


def part_digest(component: Component) -> str:
    """The sha256 of the weights file that a component has alone."""
    return digest_of_bytes(weights_bytes(split_aliases(named_tensors(component))[0]))


def check_digests(folder: Path, manifest: Manifest, tensors: Mapping[str, Tensor]) -> None:
    """Raise CorruptComponent where the tensors of a part inside an assembly are not those that its digest tells of."""
    if manifest.assembly is None:  # whose digest is that of its file
        return
    whole = {**tensors, **{name: tensors[kept] for name, kept in manifest.aliases.items()}}
    for number, prefix, part in zip(manifest.numbers(), manifest.prefixes(), manifest.parts, strict=True):
        own = {name.removeprefix(prefix): one for name, one in whole.items() if name.startswith(prefix)}
        if part.digest and digest_of_bytes(weights_bytes(split_aliases(own)[0])) != part.digest:
            raise CorruptComponent(f"{folder}: part {number} has other weights than its digest tells of")


def _part(component: Component, digest: str) -> dict[str, Any]:
    return {
        "digest": digest,
        "classes": component.classes,
        "labels": component.labels,
        "preprocessing": asdict(component.preprocessing) if component.preprocessing else None,
        "memory_format": "channels_last" if is_channels_last(component.module) else "contiguous",
        "origin": _origin(component.origin),
        "verdict": component.verdict and asdict(component.verdict),
    }


def _origin(origin: Origin) -> dict[str, Any]:
    builder = origin.builder and {"name": origin.builder.name, "arguments": _plain(origin.builder.arguments)}
    return {
        "builder": builder,
        "source_digest": origin.source_digest,
        "source_classes": origin.source_classes,
        "input_shape": origin.input_shape,
        "kept_outputs": dict(origin.kept_outputs),
        "kept_inputs": dict(origin.kept_inputs),
        # int(): a switch such as GoogLeNet's aux_logits is a bool, and JSON keeps the two apart.
        "attributes": {path: {key: int(one) for key, one in ones.items()} for path, ones in origin.attributes.items()},
        "settings": _plain(origin.settings),
        "cost_before": asdict(origin.cost_before),
        "cost_after": asdict(origin.cost_after),
        "provenance": asdict(origin.provenance),
    }


def _assembly(part: Assembly, numbers: Iterator[int]) -> dict[str, Any]:
    """The record of an assembly, whose components have the next of the numbers."""
    return {
        "layout": part.layout,
        "classes": part.classes,
        "terms": part.terms,
        "groups": part.groups,
        "made_of": [
            _assembly(inner, numbers) if isinstance(inner, Assembly) else next(numbers) for inner in part.networks()
        ],
        "head": part.head.kind,
        "head_reads": part.head.reads,
        "joined": _plain(asdict(part.record)),
    }


def _plain(value: Any) -> Any:
    """Turn mappings of any kind into dicts; what is no JSON value is refused later, by its path."""
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"settings must have text keys, not {wrong[0]!r}")
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def versions(parts: list[Component]) -> dict[str, str]:
    """Give the versions of the libraries that matter to the saved network, of those that are installed."""
    names = ["torch", "torchvision", "safetensors"]
    builders = [part.origin.builder for part in parts if part.origin.builder]
    if any(builder.name.startswith("timm:") or "architecture" in builder.arguments for builder in builders):
        names.append("timm")
    if any("model_type" in builder.arguments for builder in builders):
        names.append("transformers")
    found = {"model-lego": __version__}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

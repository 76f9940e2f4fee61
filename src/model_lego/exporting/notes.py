"""What stands in an exported file beside the network: texts under names, JSON where they are more than a word."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from model_lego.digest import digest_of
from model_lego.exporting.taken import taking
from model_lego.parts.assembly import Part, numbered
from model_lego.parts.component import Component
from model_lego.parts.preprocessing import Preprocessing
from model_lego.store.records import versions
from model_lego.version import __version__


def notes_of(part: Part, example: Tensor, *, pixels: bool) -> dict[str, str]:
    """Class names, images, preprocessing, provenance and the digest of a part."""
    parts = list(numbered(part))
    said: dict[str, Any] = {
        "classes": list(part.classes),
        "takes": _taken(example, pixels=pixels),
        "gives": "probabilities" if pixels else "logits",
        "preprocessing": [_preprocessing(each.preprocessing) for _, each in parts],
        "resizing": _preprocessing(taking(part)) if pixels else None,
        "sources": [_source(number, each) for number, each in parts],
        "verdict": None if part.verdict is None else str(part.verdict),
        "digest": digest_of(part),
        "versions": versions([each for _, each in parts]),
        "licence": "that of the sources; exporting adds no terms",
    }
    words = {f"model_lego.{name}": _text(value) for name, value in said.items() if value is not None}
    return {"model_lego.version": __version__} | words


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def taken_in_words(example: Tensor, *, pixels: bool) -> str:
    """What the file takes, for people."""
    taken = _taken(example, pixels=pixels)
    sides = [("N", "H", "W")[place] if side is None else str(side) for place, side in enumerate(taken["shape"])]
    return f"{taken['type']} {' x '.join(sides)}"


def _taken(example: Tensor, *, pixels: bool) -> Mapping[str, Any]:
    """Data type and shape, null where any length will do."""
    sides = list(example.shape[1:])
    return {
        "type": str(example.dtype).removeprefix("torch."),
        "shape": [None, None, None, sides[2]] if pixels else [None, *sides],
        "layout": "N x H x W x C" if pixels else "N x C x H x W" if len(sides) == 3 else "N x …",
    }


def _preprocessing(preprocessing: Preprocessing | None) -> dict[str, Any] | None:
    return None if preprocessing is None else asdict(preprocessing)


def _source(number: str, component: Component) -> dict[str, Any]:
    """Where a component comes from."""
    origin = component.origin
    return {
        "part": number,
        "builder": None if origin.builder is None else str(origin.builder),
        "source_digest": origin.source_digest,
        "classes": list(component.classes),
        "labels": list(component.labels),
        "parameters": origin.cost_after.parameters,
        "source_parameters": origin.cost_before.parameters,
    }

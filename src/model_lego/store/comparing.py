"""What differs between two saved parts, told by their manifests alone."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model_lego.digest import SEEN, unpacked
from model_lego.store.manifest import Manifest

#: Letters of a value that are shown.
SHOWN = 60
#: Numbers of channels that were kept.
CHANNELS = re.compile(r"\.kept_(outputs|inputs)\.")
#: What other entries tell in words, and what only machines compare.
BESIDE = frozenset({"tensors", "aliases", "probe", "format"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry of two manifests that differs, by its place; what one of them lacks is empty."""

    place: str
    one: str
    other: str


def differences(one: Manifest, other: Manifest) -> tuple[Difference, ...]:
    """Everything that differs: classes, sources, widths, settings, costs, verdicts, heads, weights, versions.

    Parts of assemblies are held against each other in their order.
    """
    here, there = (dict(_leaves(each.model_dump(mode="json", exclude=set(BESIDE)))) for each in (one, other))
    places = [place for place in {**here, **there} if here.get(place) != there.get(place)]
    return tuple(
        Difference(place, *_told(place, here.get(place, _NOTHING), there.get(place, _NOTHING))) for place in places
    )


class _Nothing:
    """What is not there, which is not None."""


_NOTHING = _Nothing()


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a manifest by their dotted places; items of lists of records by their numbers from 1."""
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        value = {str(number): each for number, each in enumerate(value, 1)}
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else name)
    else:
        yield place, value


def _told(place: str, one: Any, other: Any) -> tuple[str, str]:
    """Two values that differ, in texts that do."""
    texts = _text(place, one), _text(place, other)
    return texts if texts[0] != texts[1] else (texts[0], f"{texts[1]}, others")


def _text(place: str, value: Any) -> str:
    if isinstance(value, _Nothing):
        return ""
    if CHANNELS.search(place):
        return f"channels: {len(value)}"
    if place.endswith(SEEN):
        return f"images: {len(unpacked(value))}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"

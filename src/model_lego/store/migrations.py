"""Manifests of older schemas, lifted one schema at a time; what does not fit is left for the check that follows."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]

#: Schema 1 told the state of a head by these sentences; where there was none, the head was fitted.
_HEAD_STATES = {
    "no calibration images: the parts' logits are not brought to a common level, each part may be over-confident on "
    "the others' classes": "side by side",
    "a head that was fitted before its parts changed: classes that stayed are judged as they were, new ones by their "
    "own logits; calibration images of all classes would fit it again": "carried",
}
#: What schema 1 had in one mapping and schema 2 has apart: new place -> new name -> old name.
_TOGETHER = {
    "calibration": {"images": "calibration_images", "labels": "calibration_labels"},
    "cross_validation": {
        "scores": "head_scores",
        "folds": "head_folds",
        "strength": "head_strength",
        "no_features": "no_features",
    },
}


def typed_assembly(manifest: Json) -> Json:
    """Schema 1 to 2: the free settings of an assembly become the fields of its record."""
    old = manifest.get("assembly")
    if not isinstance(old, dict) or not isinstance(old.get("settings"), dict):
        return manifest
    settings = dict(old["settings"])
    joined = {
        "head_state": _head_state(settings.pop("lacks", None)),
        "one_source": _one_source(settings.pop("advice", "")),
    }
    for name, members in _TOGETHER.items():
        present = {new: settings.pop(before) for new, before in members.items() if before in settings}
        joined |= {name: present} if present else {}
    reads = settings.pop("head_reads", [])
    for said_elsewhere in ("layout", "head"):
        settings.pop(said_elsewhere, None)
    others = {name: value for name, value in old.items() if name != "settings"}
    return manifest | {"assembly": others | {"head_reads": reads, "joined": joined | settings}}


def _head_state(lacks: object) -> object:
    return "fitted" if lacks is None else _HEAD_STATES.get(str(lacks), lacks)


def _one_source(advice: object) -> list[list[int]]:
    """The parts that are named by "parts 1 and 2; parts 3 and 4 are of one source"."""
    groups = re.findall(r"parts (\d+(?: and \d+)*)", str(advice))
    return [[int(number) for number in re.findall(r"\d+", group)] for group in groups]


def judged_and_probed(manifest: Json) -> Json:
    """Schema 2 to 3: parts have a verdict and a saved part a probe, which older ones do not."""
    parts = manifest.get("parts")
    if not isinstance(parts, list):  # statistics have neither
        return manifest
    return manifest | {
        "probe": None,
        "parts": [part | {"verdict": None} if isinstance(part, dict) else part for part in parts],
    }


def cropped_and_grouped(manifest: Json) -> Json:
    """Schema 3 to 4: images may be cropped, and resized in other ways than bilinearly; classes may be in groups.

    An assembly's parts may be assemblies, too.
    """
    parts = manifest.get("parts")
    if not isinstance(parts, list):  # statistics know no images and are of no assembly
        return manifest
    lifted = manifest | {"parts": [_uncropped(part) if isinstance(part, dict) else part for part in parts]}
    assembly = manifest.get("assembly")
    if isinstance(assembly, dict):
        plain: Json = {"terms": assembly.get("classes"), "groups": {}, "made_of": list(range(len(parts)))}
        lifted["assembly"] = assembly | plain
    return lifted


def _uncropped(part: Json) -> Json:
    known = part.get("preprocessing")
    if not isinstance(known, dict):
        return part
    return part | {"preprocessing": known | {"crop": None, "interpolation": "bilinear"}}


def with_provenance(manifest: Json) -> Json:
    """Schema 4 to 5: parts have a digest, of their own weights alone, and tell of licences and data."""
    parts = manifest.get("parts")
    if not isinstance(parts, list):  # statistics are of no part
        return manifest
    weights = manifest.get("weights")
    alone = manifest.get("kind") == "component" and isinstance(weights, dict)
    digest = weights.get("sha256") if alone and isinstance(weights, dict) else ""
    return manifest | {"parts": [_provided(part, digest) if isinstance(part, dict) else part for part in parts]}


def _provided(part: Json, digest: object) -> Json:
    origin = part.get("origin")
    unsaid: Json = {"licences": [], "revisions": [], "data": []}
    return part | {"digest": digest, "origin": origin | {"provenance": unsaid} if isinstance(origin, dict) else origin}


def with_a_shape(manifest: Json) -> Json:
    """Schema 5 to 6: a probe tells the shape of its image, which was that of the first part that does not resize."""
    parts, probe = manifest.get("parts"), manifest.get("probe")
    if not isinstance(parts, list) or not isinstance(probe, dict):
        return manifest
    origins = [part["origin"] for part in parts if isinstance(part, dict) and isinstance(part.get("origin"), dict)]
    if len(origins) < len(parts) or not origins:
        return manifest
    plain = [part["origin"] for part in parts if not _resizes(part.get("preprocessing"))]
    return manifest | {"probe": probe | {"shape": (plain or origins)[0].get("input_shape")}}


def _resizes(preprocessing: object) -> bool:
    return isinstance(preprocessing, dict) and (preprocessing.get("size"), preprocessing.get("crop")) != (None, None)


#: From a schema number to the function that turns such a manifest into one of the next number.
MIGRATIONS: Mapping[int, Callable[[Json], Json]] = MappingProxyType(
    {1: typed_assembly, 2: judged_and_probed, 3: cropped_and_grouped, 4: with_provenance, 5: with_a_shape}
)

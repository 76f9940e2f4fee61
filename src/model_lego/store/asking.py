"""A part of a stranger is asked what the saved one was: what takes far more memory than its file is not run."""

import math
from pathlib import Path

from model_lego.errors import CorruptComponent
from model_lego.parts.assembly import Assembly, leaves
from model_lego.parts.component import Component
from model_lego.store.bounded import Light, TooLarge, logits_given, most_bytes
from model_lego.store.manifest import Manifest
from model_lego.store.probe import other_answer, shape_for


def answered_otherwise(folder: Path, part: Component | Assembly, manifest: Manifest) -> str:
    """How a part answers otherwise than the saved one did, in words; else nothing.

    What is not light on the image of the probe is asked without memory first, on images of its own size.

    Raises:
        CorruptComponent: to ask it takes far more memory than its file does, or it has too many or few logits.
    """
    if isinstance(part, Component) and (apart := _asked_lightly(part, manifest)) is not None:
        return apart
    _refuse_large(folder, part, manifest)
    return other_answer(part, manifest.probe)


def _asked_lightly(part: Component, manifest: Manifest) -> str | None:
    """The same of a component whose steps are light, and cannot be too large on images of its own size; else None."""
    if manifest.probe is None:
        return None
    light, pixels = Light(), math.prod(manifest.probe.shape)
    try:
        light.add(16 * pixels)
        apart = other_answer(part, manifest.probe, light)
    except TooLarge:
        return None
    larger = max(1.0, math.prod(shape_for(part)) / pixels)
    return apart if light.heaviest * larger**2 <= most_bytes(manifest.weights.bytes) else None  # attention: squared


def _refuse_large(folder: Path, part: Component | Assembly, manifest: Manifest) -> None:
    """Refuse, by shapes alone, what takes far more memory than its file when asked, or has too many or few logits.

    Those of an assembly are told by its head, so that of this only the parts are looked at.
    """
    for each in leaves(part):
        for shape in {shape_for(each), *([manifest.probe.shape] if manifest.probe and each is part else [])}:
            try:
                given = logits_given(each, shape, manifest.weights.bytes)
            except CorruptComponent as error:
                raise CorruptComponent(f"{folder}: {error}") from None
            if given not in (None, len(each.classes)):
                raise CorruptComponent(
                    f"{folder}: the network gives {given} logits for {len(each.classes)} class names"
                )

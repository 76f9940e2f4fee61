"""To how many pixels images are brought, and how: numbers that are checked without torch."""

from collections.abc import Iterable
from typing import Any, Literal, get_args

from model_lego.errors import BadConfig

Sides = tuple[int, int]
Interpolation = Literal["bilinear", "bicubic", "nearest"]


def checked_geometry(size: Any, crop: Any, interpolation: Any) -> tuple[Sides | int | None, Sides | None]:
    """Size and crop as numbers of pixels, from numbers in whatever holds them; raises BadConfig."""
    if interpolation not in get_args(Interpolation):
        known = ", ".join(get_args(Interpolation))
        raise BadConfig(f"preprocessing has interpolation {interpolation!r}; use one of {known}")
    middle, whole = _pair("crop", crop), _pair("size", size)
    if middle is None:
        return whole, None
    if whole is None:
        raise BadConfig(f"preprocessing crops to {middle}, which needs a size to which images are brought before")
    if middle[0] > whole[0] or middle[1] > whole[1]:
        raise BadConfig(f"preprocessing crops {middle} out of images brought to {whole}, which are smaller")
    return whole if isinstance(_plain(size), Iterable) else whole[0], middle


def _pair(what: str, given: Any) -> Sides | None:
    """Height and width, from these two or from the side of a square."""
    if given is None:
        return None
    values = _plain(given)
    sides = tuple(values) if isinstance(values, Iterable) else (values, values)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise BadConfig(f"preprocessing takes height and width in pixels as {what}, or one side, not {given!r}")
    return sides


def _plain(given: Any) -> Any:
    return given.tolist() if hasattr(given, "tolist") else given

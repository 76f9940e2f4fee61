"""The geometry of images: what of them a network sees, in how many pixels; the same for tensors and for files."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.pictures.resampling import half, resampled
from model_lego.pictures.sides import Interpolation, Sides

#: What torch takes for each of them; what is made smaller is averaged over, as Pillow does.
MODES: dict[Interpolation, dict[str, Any]] = {
    "bilinear": {"mode": "bilinear", "antialias": True, "align_corners": False},
    "bicubic": {"mode": "bicubic", "antialias": True, "align_corners": False},
    "nearest": {"mode": "nearest-exact"},
}


def brought(images: Tensor, size: Sides | int, crop: Sides | None, interpolation: Interpolation) -> Tensor:
    """Resize images (batch x channels x height x width), then cut out the middle; those of the final size stay.

    A `size` that is one number is the length of the shorter side. Bicubic values, which overshoot, are kept in 0..1.
    """
    final = size if crop is None else crop
    if not traced() and _has_sides(images, final):
        return images
    if torch.compiler.is_exporting():
        images = resampled(images, _followed_sides(images, size, final), final, interpolation)  # type: ignore[arg-type]
        return images.clamp(0, 1) if interpolation == "bicubic" else images
    sides: Any = _followed_sides(images, size, final) if traced() else _sides(tuple(images.shape[2:]), size)
    sides = (sides[0], sides[1])
    images = F.interpolate(images, size=sides, **MODES[interpolation])
    if interpolation == "bicubic":
        images = images.clamp(0, 1)
    if crop is None:
        return images
    top, left = (half(side - kept) for side, kept in zip(sides, crop, strict=True))
    return images[:, :, top : top + crop[0], left : left + crop[1]]


def _has_sides(images: Tensor, final: Sides | int) -> bool:
    """Whether images are known to have these sides; those of any size, in an export, are not."""
    sides = tuple(images.shape[2:])
    return all(isinstance(side, int) for side in sides) and sides == final


def _sides(given: tuple[int, ...], size: Sides | int) -> Sides:
    """Height and width before the crop; the longer side is rounded down, as torchvision, timm and transformers do."""
    if not isinstance(size, int):
        return size
    return size * given[0] // min(given), size * given[1] // min(given)


def _followed_sides(images: Tensor, size: Sides | int, final: Sides | int) -> Tensor:
    """The same as numbers that a trace or an export follows, so that it serves images of all sizes."""
    if traced():
        given = torch._shape_as_tensor(images)[2:]
    else:
        given = torch.stack([torch.full((), side, dtype=torch.int64) for side in images.shape[2:]])
    wanted = size * given // given.min() if isinstance(size, int) else given.new_tensor(size)
    return torch.where((given == given.new_tensor(final)).all(), given, wanted)


def traced() -> bool:
    """Whether torch.jit.trace is listening."""
    return torch._C._get_tracing_state() is not None

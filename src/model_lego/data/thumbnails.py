"""Photos as pages show them: small copies of images, in whole numbers of 0..255."""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.parts.image_shapes import Shape
from model_lego.parts.preprocessing import Preprocessing

#: The longer side of a photo in a page, in pixels; smaller images stay as they are.
SIDE = 96
#: How far beyond 0..1 rounding and resizing may bring a value; beyond that an image was normalised.
ROUNDING = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A small copy of an image (uint8, channels x height x width), its number among the images, its class, its name."""

    pixels: Tensor
    number: int
    label: str
    name: str


def can_be_shown(shape: Shape) -> bool:
    """Whether images of a shape (channels x height x width) are pictures: grey or of three colours."""
    return len(shape) == 3 and shape[0] in (1, 3)


def thumbnail(image: Tensor) -> Tensor:
    """A small copy of an image (float in 0..1, channels x height x width), uint8, its longer side at most `SIDE`.

    One that was normalised, and so goes beyond 0..1, is stretched to what can be seen.
    """
    height, width = image.shape[1:]
    longer = max(height, width)
    if longer > SIDE:
        size = (max(1, round(height * SIDE / longer)), max(1, round(width * SIDE / longer)))
        image = Preprocessing(size=size)(image[None])[0]
    low, high = float(image.min()), float(image.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        image = (image - low) / (high - low)
    return (255 * image.clamp(0, 1)).round().to(device="cpu", dtype=torch.uint8)

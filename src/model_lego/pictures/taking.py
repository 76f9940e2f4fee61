"""One picture file as a network takes it: upright, in its colours and its size, before it is normalised."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from model_lego.errors import ShapeMismatch
from model_lego.pictures.reading import decoded, in_unit_range

#: What red, green and blue count in a grey, as in ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


def picture_for(path: str | Path, channels: int | None, resized: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """A picture file as a network takes it before normalisation: float channels x height x width in 0..1.

    `resized` is that of the network's `Preprocessing`, `channels` None keeps grey and colour as they are. Values of a
    file of 8 bits stay multiples of 1/255, so that they can be kept as bytes. Raises BadBatches for a file that cannot
    be read, ShapeMismatch for channels that are neither 1 nor 3.
    """
    return in_unit_range(pixels_for(path, channels, resized))


def pixels_for(path: str | Path, channels: int | None, resized: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """The same as the file has its values: uint8, and floats in 0..1 only where the file has more than 8 bits."""
    with decoded(path) as pixels:
        if resized is None and channels in (None, len(pixels)):
            return pixels
        planes = [_resized(plane, resized) for plane in pixels]  # one by one, since all in floats would be large
        picture = in_colours(torch.stack(planes), channels or len(planes))
        return picture if pixels.is_floating_point() else (255 * picture).round().to(torch.uint8)


def _resized(plane: Tensor, resized: Callable[[Tensor], Tensor] | None) -> Tensor:
    plane = in_unit_range(plane)
    return plane if resized is None else resized(plane[None, None])[0, 0]


def in_colours(picture: Tensor, channels: int) -> Tensor:
    """A picture of one or three channels in as many as a network takes: grey three times, RGB as its grey.

    Raises ShapeMismatch for any other number.
    """
    if len(picture) == channels:
        return picture
    if channels == 3:
        return picture.expand(3, -1, -1)
    if channels == 1:
        return (picture * picture.new_tensor(LUMA)[:, None, None]).sum(0, keepdim=True)
    raise ShapeMismatch(f"the network takes images of {channels} channels; image files are grey or have three")

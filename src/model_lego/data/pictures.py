"""Pictures: one image file, read as it is, and brought to the colours that a network takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model_lego.errors import BadBatches, ShapeMismatch

if TYPE_CHECKING:
    from PIL import Image

#: Modes of Pillow that are grey: of 1 or 8 bits, and of 16, which its convert() would clip.
FLAT, DEEP = frozenset({"1", "L"}), frozenset({"I;16", "I;16B", "I;16L", "I"})
#: What red, green and blue count in a grey, as in ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


def read_picture(path: str | Path) -> Tensor:
    """One image file as float channels x height x width in 0..1: grey stays one channel, all else becomes RGB.

    Raises BadBatches for a file that cannot be read, or is no image.
    """
    with _opened(path) as opened:
        deep = opened.mode in DEEP
        picture = opened if deep else opened.convert("L" if opened.mode in FLAT else "RGB")
        pixels = torch.from_numpy(np.array(picture).astype(np.float32)) / (65535 if deep else 255)
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)


def form_of(path: str | Path) -> tuple[bool, tuple[int, int]]:
    """Whether a picture is coloured, and its width and height, by its header. Raises BadBatches."""
    with _opened(path) as picture:
        return picture.mode not in FLAT | DEEP, picture.size


@contextmanager
def _opened(path: str | Path) -> "Iterator[Image.Image]":
    """A picture, of which the header is read; raises BadBatches, also for what is read of it later."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            yield picture
    except UnidentifiedImageError as error:
        raise BadBatches(f"image '{path}' cannot be read: it holds no picture; give a PNG or JPEG file") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # of damaged files, all of them
        raise BadBatches(f"image '{path}' cannot be read: {error}") from error


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

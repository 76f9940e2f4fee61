"""Pictures: one image file, read as it is, and brought to the colours that a network takes."""

import os
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

#: Modes of Pillow that are grey: of 1 or 8 bits, and of 16 or more, which its convert() would clip.
FLAT, DEEP = frozenset({"1", "L"}), frozenset({"I;16", "I;16B", "I;16L", "I", "F"})
#: What white may be in grey pictures of 32 bits, floats and integers, of which the file does not say it.
WHITES = {"F": (1, 255), "I": (255, 65535)}
#: A picture whose largest value is beyond a white, but not so many times, may have either.
UNCLEAR = 10
#: TIFF's tag of the form of the samples, and what it says of signed integers, which Pillow reads as unsigned bytes.
SAMPLES, SIGNED = 339, 2
#: What red, green and blue count in a grey, as in ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)
#: EXIF's tag of the orientation, how Pillow calls the way back from each but the upright 1, and those with other sides.
ORIENTATION = 0x0112
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
SIDEWAYS = (5, 6, 7, 8)
#: What Pillow calls photos of one picture and of several, and what they end in.
JPEG, END_OF_JPEG = ("JPEG", "MPO"), b"\xff\xd9"


class Unreadable(BadBatches):
    """A file that holds no picture, a damaged one, or one that is too large; `reason` says which."""

    def __init__(self, path: str | Path, reason: str, advice: str = "give a whole PNG or JPEG file") -> None:
        self.reason = reason
        super().__init__(f"image '{path}' cannot be read: {reason}; {advice}")


def read_picture(path: str | Path) -> Tensor:
    """One image file as float channels x height x width in 0..1: grey stays one channel, all else becomes RGB.

    A photo comes upright: its EXIF says how the camera was held. Raises BadBatches for a file that cannot be read, that
    is no image, or of whose values white is not known.
    """
    with _opened(path) as opened:
        mode, of_16_bits = opened.mode, (opened.format, opened.mode) == ("PPM", "I")
        signed = mode in FLAT and SIGNED in _samples(opened)
        picture = opened if mode in DEEP else opened.convert("L" if mode in FLAT else "RGB")
        pixels = torch.from_numpy(np.array(_upright(picture, _orientation(opened))).astype(np.float32))
    if signed:
        raise BadBatches(f"image '{path}' has signed bytes as values; save it with values of 0 to 255")
    if mode in WHITES and not of_16_bits:
        pixels = pixels / _white(path, pixels, WHITES[mode])
    else:
        pixels = pixels / (65535 if mode in DEEP else 255)
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)


def _samples(picture: "Image.Image") -> tuple[int, ...]:
    """What a TIFF says of the form of its samples, nothing for other pictures."""
    return tuple(getattr(picture, "tag_v2", {}).get(SAMPLES, ()))


def _white(path: str | Path, values: Tensor, whites: tuple[int, int]) -> int:
    """What counts as white, by the range of the values; raises BadBatches where that does not tell."""
    low, high = float(values.min()), float(values.max())
    smaller, larger = whites
    if low >= 0 and high <= smaller:
        return smaller
    if low >= 0 and UNCLEAR * smaller < high <= larger:
        return larger
    raise BadBatches(
        f"image '{path}' has values from {low:.10g} to {high:.10g}, of which white is not known; save it with values "
        f"of 0 to {smaller}, or of 0 to {larger} that go beyond {UNCLEAR * smaller}"
    )


def flaw(path: str | Path) -> str | None:
    """Why a picture cannot be read, None where it can.

    A picture is decoded where it does not end as it should, or its format does not tell. Raises BadBatches for one
    that can be read, but of whose values white is not known.
    """
    if _ends_well(path):
        return None
    try:
        read_picture(path)
    except Unreadable as error:
        return error.reason
    return None


def _ends_well(path: str | Path) -> bool:
    """Whether a PNG has the checksums that it names, or a JPEG its end: much sooner found than by decoding."""
    try:
        with _opened(path) as picture:
            picture.verify()  # looks at a PNG as a whole, and at no other format
            written_as = picture.format
    except Unreadable:
        return False
    if written_as not in JPEG:
        return written_as == "PNG"
    with Path(path).open("rb") as file:
        file.seek(-len(END_OF_JPEG), os.SEEK_END)
        return file.read() == END_OF_JPEG


def form_of(path: str | Path) -> tuple[bool, tuple[int, int]]:
    """Whether a picture is coloured, and its width and height as it is read, by its header. Raises BadBatches."""
    with _opened(path) as picture:
        width, height = picture.size
        sideways = _orientation(picture) in SIDEWAYS
        return picture.mode not in FLAT | DEEP, (height, width) if sideways else (width, height)


def _orientation(picture: "Image.Image") -> int:
    """How a camera was held, as the EXIF in a file's header says; upright where it says nothing, or is damaged."""
    if "exif" not in picture.info:  # to look further would decode a whole PNG
        return 1
    found = picture.getexif().get(ORIENTATION)
    return found if found in TURNS else 1


def _upright(picture: "Image.Image", orientation: int) -> "Image.Image":
    from PIL import Image

    return picture.transpose(Image.Transpose[TURNS[orientation]]) if orientation in TURNS else picture


@contextmanager
def _opened(path: str | Path) -> "Iterator[Image.Image]":
    """A picture, of which the header is read; raises Unreadable, also for what is read of it later."""
    from PIL import Image, UnidentifiedImageError

    if Path(path).exists() and not Path(path).is_file():  # to open a pipe would wait for ever
        raise Unreadable(path, "it is no regular file")
    most = Image.MAX_IMAGE_PIXELS  # beyond which Pillow warns, and beyond twice as many fails
    too_large = Unreadable(path, f"it has more than {most or 0:,} pixels", "make it smaller")
    try:
        with Image.open(path) as picture:
            if most and picture.width * picture.height > most:
                raise too_large
            yield picture
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable(path, "it holds no picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except (OSError, SyntaxError, ValueError) as error:  # of damaged files, all of them
        raise Unreadable(path, str(error)) from error


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

"""Reading one picture file: its pixels as they are, upright, and what is wrong with it."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from model_lego.errors import BadBatches
from model_lego.pictures.room import Room

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

#: For the pixels of all pictures that are being decoded.
ROOM = Room()


class Unreadable(BadBatches):
    """A file that holds no picture, a damaged one, or one that is too large; `reason` says which."""

    def __init__(self, path: str | Path, reason: str, advice: str = "give a whole PNG or JPEG file") -> None:
        self.reason = reason
        super().__init__(f"image '{path}' cannot be read: {reason}; {advice}")


def read_picture(path: str | Path) -> Tensor:
    """One image file as float channels x height x width in 0..1: grey stays one channel, all else becomes RGB.

    A photo comes upright: its EXIF says how the camera was held. What is see-through is taken as if it were not, as
    torchvision's loader does. Raises BadBatches for a file that cannot be read, that is no image, or of whose values
    white is not known.
    """
    with decoded(path) as pixels:
        return in_unit_range(pixels)


def in_unit_range(pixels: Tensor) -> Tensor:
    """Values in 0..1: bytes are divided by 255, floats stay."""
    return pixels / 255 if pixels.dtype == torch.uint8 else pixels


@contextmanager
def decoded(path: str | Path) -> Iterator[Tensor]:
    """The pixels of a file as for `read_picture`: uint8, or floats in 0..1 of a file of more than 8 bits.

    Of several threads only so many work at once that their pictures have no more pixels than one may have.
    """
    with ExitStack() as until_used:
        with _opened(path) as opened:
            until_used.enter_context(ROOM.taken(opened.width * opened.height, _most_pixels()))
            mode, of_16_bits = opened.mode, (opened.format, opened.mode) == ("PPM", "I")
            signed = mode in FLAT and SIGNED in _samples(opened)
            picture = opened if mode in DEEP else _plain(opened)
            values = np.array(_upright(picture, _orientation(opened)))
            opened.close()  # gives back its memory, more than that of the values
        if signed:
            raise BadBatches(f"image '{path}' has signed bytes as values; save it with values of 0 to 255")
        whites = None if of_16_bits else WHITES.get(mode)
        yield _floats(path, values, whites) if mode in DEEP else _channels_first(torch.from_numpy(values))


def _plain(picture: "Image.Image") -> "Image.Image":
    """A picture of 8 bits in grey or RGB."""
    if picture.mode == "P" and "transparency" in picture.info:  # which the palette's colours are not mixed with
        picture = picture.convert("RGBA")
    wanted = "L" if picture.mode in FLAT else "RGB"
    return picture if picture.mode == wanted else picture.convert(wanted)


def _floats(path: str | Path, values: "np.ndarray[Any, Any]", whites: tuple[int, int] | None) -> Tensor:
    """Values of more than 8 bits in 0..1, by what is white: as it is found, or 65535."""
    pixels = _channels_first(torch.from_numpy(values.astype(np.float32)))
    return pixels / (_white(path, pixels, whites) if whites else 65535)


def _channels_first(pixels: Tensor) -> Tensor:
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
        with decoded(path):
            pass
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


def _most_pixels() -> int:
    """Beyond so many pixels Pillow warns, and beyond twice as many fails; any number where the user lifted that."""
    from PIL import Image

    return Image.MAX_IMAGE_PIXELS or sys.maxsize


@contextmanager
def _opened(path: str | Path) -> "Iterator[Image.Image]":
    """A picture, of which the header is read; raises Unreadable, also for what is read of it later."""
    from PIL import Image, UnidentifiedImageError

    if Path(path).is_symlink() and not Path(path).exists():
        raise Unreadable(path, "it is a link that leads nowhere")
    if Path(path).exists() and not Path(path).is_file():  # to open a pipe would wait for ever
        raise Unreadable(path, "it is no regular file")
    most = _most_pixels()
    too_large = Unreadable(path, f"it has more than {most:,} pixels", "make it smaller")
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > most:
                raise too_large
            yield picture
    except Unreadable:
        raise
    except UnidentifiedImageError as error:
        raise Unreadable(path, "it holds no picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large from error
    except (OSError, SyntaxError, ValueError) as error:  # of damaged files, all of them
        raise Unreadable(path, getattr(error, "strerror", None) or str(error)) from error  # which names the path again

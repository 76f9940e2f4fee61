"""From the bytes of an uploaded file to the pixels that the network sees, or a refusal that says what is wrong."""

import io

import numpy as np
from classifier import Pixels, Resizing
from PIL import Image, ImageOps, UnidentifiedImageError

#: What is read: decoders of other formats are many, and less used to files that are meant to harm.
FORMATS = ("JPEG", "PNG", "WEBP")
RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}


class Refused(Exception):
    """A request that gets an error: its HTTP status, and a sentence that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def pixels_of(data: bytes, resizing: Resizing, colours: int, most_pixels: int) -> Pixels:
    """Decode a photo, upright and in the size of the network, as height x width x colours.

    Its header is read first: what has more than `most_pixels` is not decoded. Raises Refused.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check(picture, most_pixels)
            plain = ImageOps.exif_transpose(_plain(picture, colours))
            return np.atleast_3d(np.asarray(brought(plain, resizing)))
    except UnidentifiedImageError as error:
        raise Refused(415, f"this is no image that is read here: send one of {', '.join(FORMATS)}") from error
    except Refused:
        raise
    except Exception as error:  # decoders raise whatever they stumble over in a damaged file
        raise Refused(422, f"the image is damaged: {error}") from error


def _check(picture: Image.Image, most_pixels: int) -> None:
    """Refuse what would take too much memory, or has values whose white is not known."""
    if picture.width * picture.height > most_pixels:
        raise Refused(413, f"the image has {picture.width} x {picture.height} pixels: {most_pixels:,} is the most")
    if picture.mode.startswith(("I", "F")):
        raise Refused(422, "the image has more than 8 bits a colour: save it with 8")


def _plain(picture: Image.Image, colours: int) -> Image.Image:
    """In grey or RGB; what is see-through is taken as if it were not."""
    if picture.mode == "P" and "transparency" in picture.info:  # which the palette's colours are not mixed with
        picture = picture.convert("RGBA")
    return picture.convert("L" if colours == 1 else "RGB")


def brought(picture: Image.Image, resizing: Resizing) -> Image.Image:
    """Resize, then cut out the middle; a picture of the final size stays as it is."""
    size, crop = resizing.size, resizing.crop
    final = size if crop is None else crop
    height, width = (final, final) if isinstance(final, int) else final or (picture.height, picture.width)
    if size is None or (picture.height, picture.width) == (height, width):
        return picture
    if isinstance(size, int):
        shorter = min(picture.size)
        size = size * picture.height // shorter, size * picture.width // shorter
    picture = picture.resize((size[1], size[0]), RESAMPLING[resizing.interpolation])
    if crop is None:
        return picture
    top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
    return picture.crop((left, top, left + width, top + height))

"""Photos in a page: small copies inside of the file, with what they are below them, as many as there is room for."""

import base64
import io
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from torch import Tensor

from model_lego.data.thumbnails import Photo
from model_lego.report.page import block

#: Sides in pixels up to which an image is kept as it is, without loss, and drawn in whole pixels.
PLAIN = 48
#: The longer side of a photo on the screen, and in a row of several.
DRAWN, IN_A_ROW = 96, 72
#: Quality of the JPEG of a larger one.
QUALITY = 82


def data_uri(pixels: Tensor) -> str:
    """A picture (uint8, channels x height x width) as a text that a page can show: a PNG where small, else a JPEG."""
    from PIL import Image

    plain = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    kind, file = "png" if is_small(pixels) else "jpeg", io.BytesIO()
    options = {"optimize": True} if kind == "png" else {"optimize": True, "quality": QUALITY}
    Image.fromarray(plain.contiguous().numpy()).save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def is_small(pixels: Tensor) -> bool:
    """Whether an image is so small that its pixels are to be seen one by one."""
    return max(pixels.shape[1:]) <= PLAIN


def drawn_size(pixels: Tensor, longer: int) -> tuple[int, int]:
    """Width and height on the screen."""
    height, width = pixels.shape[1:]
    scale = longer / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(slots=True, eq=False)
class Album:
    """The figures of a page; what there is no more room for is counted and left out."""

    room: int  # bytes
    left_out: int = 0
    anchors: set[str] = field(default_factory=set)  # of the figures that are there

    def figure(self, photo: Photo, alt: str, *lines: str, anchor: str = "") -> Markup:
        """A photo with lines below it, the first of them the most important; nothing where there is no room for it."""
        uri = data_uri(photo.pixels)
        if len(uri) > self.room:
            self.left_out += 1
            return Markup()
        self.room -= len(uri)
        self.anchors.add(anchor)
        return block("photo", uri, alt, drawn_size(photo.pixels, DRAWN), is_small(photo.pixels), lines, anchor)

    def note(self) -> str:
        """What is to be said of those that were left out."""
        return f"{self.left_out} more photos are left out, so that the page stays small."


@dataclass(slots=True, eq=False)
class Pool:
    """Photos that a script puts into a page, each but once, however many channels answer to it."""

    room: int  # bytes
    photos: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    _places: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def place(self, photo: Photo) -> int:
        """The number of a photo among these; -1 where there is no room for it."""
        key = photo.number, photo.pixels.numpy().tobytes()
        if key not in self._places:
            uri = data_uri(photo.pixels)
            if fits := len(uri) <= self.room:
                self.room -= len(uri)
                width, height = drawn_size(photo.pixels, IN_A_ROW)
                told = {"label": photo.label, "name": photo.name, "width": width, "height": height}
                self.photos.append({"uri": uri, **told, "small": is_small(photo.pixels)})
            self.left_out += not fits
            self._places[key] = len(self.photos) - 1 if fits else -1
        return self._places[key]

    def note(self) -> str:
        """What is to be said of those that were left out."""
        return f"{self.left_out} of {len(self._places)} photos are left out, so that the page stays small."

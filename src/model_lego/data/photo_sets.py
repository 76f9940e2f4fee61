"""Image sets of picture files: read when they are asked for, as a network takes them, and kept within a budget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TypedDict

import torch
from torch import Tensor

from model_lego.data.sets import ImageSet
from model_lego.errors import BadConfig
from model_lego.parts.component import Preprocessing
from model_lego.pictures.reading import form_of, in_unit_range
from model_lego.pictures.taking import pixels_for

#: Bytes of pictures that a data set keeps: some 7,000 of 224 x 224 pixels.
CACHE = 2**30


class Kept:
    """The pixels of pictures that were read, within a budget in bytes; what does not fit is read again each time."""

    def __init__(self, budget: int) -> None:
        self._left, self._found, self._lock = budget, dict[Path, Tensor](), Lock()

    def find(self, path: Path) -> Tensor | None:
        """The pixels of a picture, where they are kept."""
        return self._found.get(path)

    def keep(self, path: Path, pixels: Tensor) -> None:
        """Keep the pixels of a picture if there is room."""
        with self._lock:
            if path not in self._found and pixels.nbytes <= self._left:
                self._found[path] = pixels
                self._left -= pixels.nbytes


class ReadingOptions(TypedDict, total=False):
    """Keyword arguments about picture files; None stands for the default."""

    preprocessing: Preprocessing | None
    channels: int | None
    cache: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How picture files are read: in which size and colours, and how many bytes of them are kept.

    Without `channels` they have as many as the preprocessing has means, else three where one of them is coloured.
    Raises BadConfig.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    channels: int | None = None
    cache: int = CACHE

    def __post_init__(self) -> None:
        if self.cache < 0:
            raise BadConfig(f"a cache of {self.cache} bytes cannot be; give 0 to keep no picture")

    def sets(self, *parts: Mapping[str, Sequence[Path]]) -> tuple[ImageSet, ...]:
        """An image set of each part, from the files of each of its classes, labels being positions of the classes."""
        channels = self.channels or self._channels(path for part in parts for some in part.values() for path in some)
        kept = Kept(self.cache)
        return tuple(self._set(part, channels, kept) for part in parts)

    def _channels(self, paths: Iterable[Path]) -> int:
        if len(self.preprocessing.mean) > 1:
            return len(self.preprocessing.mean)
        return 3 if any(form_of(path)[0] for path in paths) else 1

    def _set(self, found: Mapping[str, Sequence[Path]], channels: int, kept: Kept) -> ImageSet:
        paths = [path for some in found.values() for path in some]
        labels = [label for label, some in enumerate(found.values()) for _ in some]
        resized = None if self.preprocessing.final_size is None else self.preprocessing.resized

        def image(number: int) -> Tensor:
            pixels = kept.find(paths[number])
            if pixels is None:
                pixels = pixels_for(paths[number], channels, resized)
                kept.keep(paths[number], pixels)
            return in_unit_range(pixels)

        numbers = torch.arange(len(paths))
        return ImageSet(torch.tensor(labels, dtype=torch.int64), image, numbers, lambda number: paths[number].name)

"""Image sets of picture files: read when they are asked for, as a network takes them, and kept within a budget."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TypedDict

import torch
from torch import Tensor

from model_lego.data.sets import DataSplit, ImageSet
from model_lego.errors import BadConfig
from model_lego.parts.preprocessing import Preprocessing
from model_lego.pictures.reading import form_of, in_unit_range
from model_lego.pictures.taking import pixels_for

#: Bytes of pictures that a data set keeps: some 7,000 of 224 x 224 pixels.
CACHE = 2**30

#: Picture files of each class.
Files = Mapping[str, Sequence[Path]]


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

    Without `channels` they have as many as the preprocessing has means, else three where one of them is coloured. In
    which size they come where the preprocessing says none, `unsized` says. Raises BadConfig.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    channels: int | None = None
    cache: int = CACHE
    unsized: Preprocessing = field(default_factory=Preprocessing)

    def __post_init__(self) -> None:
        if self.cache < 0:
            raise BadConfig(f"a cache of {self.cache} bytes cannot be; give 0 to keep no picture")

    def split(self, train: Files, test: Files, notes: Iterable[str]) -> DataSplit:
        """A data set of the files of each class of both parts, labels being positions of the classes."""
        paths = [path for part in (train, test) for some in part.values() for path in some]

        @functools.cache
        def colours() -> int:
            return 3 if any(form_of(path)[0] for path in paths) else 1

        return self._split(train, test, tuple(notes), colours)

    def _split(self, train: Files, test: Files, notes: tuple[str, ...], colours: Callable[[], int]) -> DataSplit:
        means = len(self.preprocessing.mean)
        channels, kept = self.channels or (means if means > 1 else colours()), Kept(self.cache)
        learned, measured = (self._set(part, channels, kept) for part in (train, test))

        def read_for(preprocessing: Preprocessing) -> DataSplit:
            return replace(self, preprocessing=preprocessing)._split(train, test, notes, colours)

        return DataSplit(learned, measured, tuple(train), notes, read_for)

    def _set(self, files: Files, channels: int, kept: Kept) -> ImageSet:
        paths = [path for some in files.values() for path in some]
        labels = [label for label, some in enumerate(files.values()) for _ in some]
        sized = self.unsized if self.preprocessing.final_size is None else self.preprocessing
        resized = None if sized.final_size is None else sized.resized

        def image(number: int) -> Tensor:
            pixels = kept.find(paths[number])
            if pixels is None:
                pixels = pixels_for(paths[number], channels, resized)
                kept.keep(paths[number], pixels)
            return in_unit_range(pixels)

        numbers = torch.arange(len(paths))
        return ImageSet(torch.tensor(labels, dtype=torch.int64), image, numbers, lambda number: paths[number].name)

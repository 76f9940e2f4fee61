"""Labelled images and the batches that are made of them."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model_lego.errors import BadBatches, BadConfig, EmptySelection
from model_lego.parts.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images with labels; `image` gives one as float channels x height x width, scaled to 0..1.

    `file` gives the name of the file of one that comes from a file.
    """

    labels: Tensor  # int64
    image: Callable[[int], Tensor]
    numbers: Tensor  # which images of the source these are
    file: Callable[[int], str] | None = None

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True, slots=True, eq=False)
class DataSplit:
    """Training and test images of the same classes; `notes` say what one has to know, such as what was left out.

    `read_for` gives the same data with its files read as a network takes them, where it comes from picture files.
    """

    train: ImageSet
    test: ImageSet
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    read_for: "Callable[[Preprocessing], DataSplit] | None" = None

    @property
    def present(self) -> tuple[str, ...]:
        """The classes that have training images, in order: a network has more of them than many a folder of photos."""
        return tuple(self.class_names[label] for label in self.train.labels.unique().tolist())

    def taken_by(self, preprocessing: Preprocessing) -> "DataSplit":
        """The same data in the size and colours of a network, as `open_data` gives it; no file is looked at again."""
        return self if self.read_for is None else self.read_for(preprocessing)


#: Batches that are read ahead, by as many threads as there are processors, while the network runs on an earlier one.
AHEAD = 2


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Batched:
    """Re-iterable batches of an image set: (images float B x C x H x W in 0..1, labels int64 B).

    With `wanted` labels the images of other classes are not read; the batches are as many as without.
    """

    def __init__(
        self, images: ImageSet, batch_size: int, shuffle_seed: int | None, wanted: Iterable[int] | None = None
    ) -> None:
        self.images, self.batch_size, self.shuffle_seed = images, batch_size, shuffle_seed
        self.wanted = None if wanted is None else tuple(wanted)

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order()
        coming: deque[Callable[[], tuple[Tensor, Tensor]]] = deque()
        threads = processors()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for places in order.split(self.batch_size) if len(order) else ():
                    coming.append(self._begun(places, pool, threads))
                    if len(coming) > AHEAD:
                        yield coming.popleft()()
                while coming:
                    yield coming.popleft()()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def only(self, labels: Iterable[int]) -> "Batched":
        """Without the images of other classes."""
        return Batched(self.images, self.batch_size, self.shuffle_seed, labels)

    def absent(self, labels: Iterable[int]) -> list[int]:
        """The labels that no image has."""
        there = set(self.images.labels.tolist())
        return [label for label in labels if label not in there]

    def few(self, number: int) -> "Batched":
        """The same images in batches of so many."""
        return Batched(self.images, number, self.shuffle_seed, self.wanted)

    def shuffled(self, seed: int) -> "Batched":
        """The same images in another order."""
        return Batched(self.images, self.batch_size, seed, self.wanted)

    def called(self, place: int) -> str:
        """What the image that comes at a place is called: its file, or its number among the images."""
        at = int(self._order()[place])
        return f"no. {at}" if self.images.file is None else self.images.file(int(self.images.numbers[at]))

    def sampled(self, limit: int, seed: int) -> tuple["Batched", Callable[[int], int]]:
        """A seeded sample of at most so many of the images, in their order, and the places at which they come here."""
        order = self._order()
        labels = self.images.labels[order]
        mine = torch.isin(labels, labels.unique() if self.wanted is None else torch.tensor(self.wanted)).nonzero()[:, 0]
        chosen = torch.randperm(len(mine), generator=torch.Generator().manual_seed(seed))[:limit]
        places = mine[chosen].sort().values
        some = replace(self.images, labels=labels[places], numbers=self.images.numbers[order[places]])
        return Batched(some, self.batch_size, None), places.tolist().__getitem__

    def _order(self) -> Tensor:
        order = torch.arange(len(self.images))
        if self.shuffle_seed is not None:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.shuffle_seed))
        return order

    def read(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The batch of the images at these places."""
        places, labels = self._mine(places)
        return self._batch(self._images(places)), labels

    def _begun(self, places: Tensor, pool: ThreadPoolExecutor, threads: int) -> Callable[[], tuple[Tensor, Tensor]]:
        """Begin to read a batch, a share in each thread; what is given waits for it."""
        places, labels = self._mine(places)
        size = max(1, math.ceil(len(places) / threads))
        shares = [pool.submit(self._images, some) for some in places.split(size)]
        return lambda: (self._batch([image for share in shares for image in share.result()]), labels)

    def _mine(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The places of images that are wanted, and their labels."""
        labels = self.images.labels[places]
        if self.wanted is None:
            return places, labels
        mine = torch.isin(labels, torch.tensor(self.wanted))
        return places[mine], labels[mine]

    def _images(self, places: Tensor) -> list[Tensor]:
        return [self.images.image(number) for number in self.images.numbers[places].tolist()]

    def _batch(self, images: list[Tensor]) -> Tensor:
        """Images as a batch; an empty one has the shape of the others."""
        return stacked(images) if images else self.images.image(int(self.images.numbers[0]))[None][:0]


def stacked(images: list[Tensor]) -> Tensor:
    """Images of one size as a batch; raises BadBatches."""
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        some = ", ".join(map(str, sorted(shapes)[:3])) + (" …" if len(shapes) > 3 else "")
        raise BadBatches(f"images have different sizes [{some}]; bring them to one size: Preprocessing(size=N)")
    return torch.stack(images)


def batches(images: ImageSet, *, batch_size: int = 128, shuffle_seed: int | None = None) -> Batched:
    """Batches of an image set; with a seed, shuffled, always in the same order."""
    if batch_size < 1:
        raise BadConfig(f"batch size {batch_size} has to be at least 1")
    return Batched(images, batch_size, shuffle_seed)


def subset(
    images: ImageSet,
    classes: Sequence[int],
    *,
    per_class: int | Sequence[int | None] | None = None,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
) -> ImageSet:
    """Images of some classes, renumbered to their positions in `classes`; at most `per_class` seeded ones of each.

    `per_class` may say a number for each class, None for all. `class_names` are for messages alone. Raises
    EmptySelection for a class without images, BadConfig.
    """
    most = [per_class] * len(classes) if isinstance(per_class, int) or per_class is None else list(per_class)
    if len(most) != len(classes):
        raise BadConfig(f"numbers of images are given for {len(most)} classes, but there are {len(classes)}")
    for number in most:
        if number is not None and number < 1:
            raise BadConfig(f"{number} images a class are none; give at least 1")
    generator = torch.Generator().manual_seed(seed)
    places, labels = [], []
    for position, (label, number) in enumerate(zip(classes, most, strict=True)):
        mine = (images.labels == label).nonzero().reshape(-1)
        if not len(mine):
            called = label if class_names is None else f"'{class_names[label]}'"
            raise EmptySelection(f"there is no image of class {called} in the data")
        if number is not None:
            mine = mine[torch.randperm(len(mine), generator=generator)[:number]]
        places.append(mine)
        labels.append(torch.full((len(mine),), position))
    joined, numbers = torch.cat(places), torch.cat(labels)
    order = torch.argsort(joined)
    return replace(images, labels=numbers[order], numbers=images.numbers[joined[order]])


def relabelled(images: ImageSet, places: Sequence[int]) -> ImageSet:
    """Images with a new label for each old one; those of -1 are left out."""
    labels = torch.tensor(places)[images.labels]
    mine = labels >= 0
    return replace(images, labels=labels[mine], numbers=images.numbers[mine])


def resized(images: ImageSet, size: tuple[int, int]) -> ImageSet:
    """The same images brought to a size (height and width), as a network's `Preprocessing` does, when they are read.

    Raises BadConfig.
    """
    if min(size) < 1:
        raise BadConfig(f"{min(size)} is no side of an image; give at least 1")
    prepare = Preprocessing(size=size)

    def image(number: int) -> Tensor:
        return prepare(images.image(number)[None])[0]

    return replace(images, image=image)


def in_memory(pixels: Tensor, labels: Tensor) -> ImageSet:
    """Images held as one uint8 or float tensor, N x C x H x W."""

    def image(number: int) -> Tensor:
        pixel = pixels[number]
        return pixel.float() / 255 if pixel.dtype == torch.uint8 else pixel.float()

    return ImageSet(labels, image, torch.arange(len(labels)))

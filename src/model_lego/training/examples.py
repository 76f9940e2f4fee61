"""What a network is trained on, in an order that a generator gives: an image set, or a stream of batches."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from model_lego.data.batching import Batches, checked, only, refuse_one_shot, shuffled
from model_lego.data.sets import ImageSet, stacked
from model_lego.errors import BadBatches, EmptySelection
from model_lego.parts.image_shapes import Shape, check_shape
from model_lego.progress import Progress, number_of, tracked

#: Bytes of images that a stream holds while it puts them in another order.
HELD = 2**29


class Examples(Protocol):
    """Images with labels that can be gone through in any order."""

    def __len__(self) -> int:
        """How many images there are."""

    def first(self) -> Tensor:
        """One image, 1 x channels x height x width."""

    def drawn(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in random order, in batches of a size; see `steps`."""


def steps(count: int, size: int) -> int:
    """Batches of an epoch. A last one of a single image is left out: BatchNorm finds no variance in it."""
    return max(1, math.ceil((count - (size > 1)) / size))


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """An image set, every image of which can be had at any time."""

    images: ImageSet

    def __len__(self) -> int:
        return len(self.images)

    def first(self) -> Tensor:
        """One image, 1 x channels x height x width."""
        return self.images.image(int(self.images.numbers[0]))[None]

    def drawn(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in random order."""
        order = torch.randperm(len(self.images), generator=generator).split(size)
        for places in order[: steps(len(self.images), size)]:
            x = stacked([self.images.image(number) for number in self.images.numbers[places].tolist()])
            yield x, self.images.labels[places]


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """Batches that are read anew in each epoch; at most `held` bytes of images are put in another order at once.

    Where there are more, they are read in another order as well, if the batches can do that.

    `places` are the targets of the label numbers, -1 for images that are left out; without them all images count.
    """

    batches: Batches
    places: Tensor | None
    shape: Shape | None
    count: int
    digest: str
    example: Tensor
    held: int = HELD

    def __len__(self) -> int:
        return self.count

    def first(self) -> Tensor:
        """One image, 1 x channels x height x width."""
        return self.example

    def drawn(self, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, mixed at random as far as `held` bytes reach. Raises BadBatches for other images."""
        limit = max(2 * size, self.held // max(1, self.example.numel() * self.example.element_size()))
        left, found = steps(self.count, size), 0
        waiting: list[tuple[Tensor, Tensor]] = []
        batches = self.batches
        if self.count > limit:
            batches = shuffled(batches, int(torch.randint(2**62, (), generator=generator)))
        for pair in read(batches, self.places, self.shape):
            found += len(pair[0])
            waiting.append(pair)
            if sum(len(x) for x, _ in waiting) < limit:
                continue
            x, labels = mixed(waiting, generator)
            ready = len(x) // 2 // size * size
            for each in zip(x[:ready].split(size), labels[:ready].split(size), strict=True):
                left -= 1
                yield each
            waiting = [(x[ready:], labels[ready:])]
        if found != self.count:
            raise BadBatches(f"the batches gave {self.count} images at first, now {found}; give the same each time")
        x, labels = mixed(waiting, generator)
        yield from list(zip(x.split(size), labels.split(size), strict=True))[:left]


def mixed(pairs: Sequence[tuple[Tensor, Tensor]], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Batches as one, in random order."""
    x, labels = (torch.cat(column) for column in zip(*pairs, strict=True))
    order = torch.randperm(len(x), generator=generator)
    return x[order], labels[order]


def streamed(
    batches: Batches, places: Tensor | None, shape: Shape | None, progress: Progress, *, what: str
) -> Streamed:
    """Look through batches once: whether they can be used, how many images there are, and which (a digest).

    The images have one size: that of the first, where `shape` leaves it open. The digest does not depend on the order.
    `what` is named where there is no image. Raises BadBatches, ShapeMismatch, EmptySelection.
    """
    count, total, example, first = 0, 0, None, None
    reader = tracked(read(batches, places, shape), "reading images", progress, total=number_of(batches))
    for number, (x, labels) in enumerate(reader):
        first = first or tuple(x.shape[1:])
        check_shape(f"images of batch {number}", x, first, whose="training mixes images of one shape, here")
        example = x[:1] if example is None and len(x) else example
        count += len(x)
        for image, label in zip(x.cpu(), labels.tolist(), strict=True):
            fingerprint = hashlib.sha256(image.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            fingerprint.update(str(label).encode())
            total += int.from_bytes(fingerprint.digest())
    if example is None:
        raise EmptySelection(f"there is no image of {what}; class_names has to name the label numbers")
    return Streamed(batches, places, first, count, f"{total % 2**256:064x}", example)


def read(batches: Batches, places: Tensor | None, shape: Shape | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without the images that are left out, labels being targets; without places all images, labels -1."""
    if places is None:
        for x, _ in checked(Unlabelled(batches), shape=shape):
            yield x, torch.full((len(x),), -1)
        return
    wanted = (places >= 0).nonzero().reshape(-1).tolist()
    for x, labels in checked(only(batches, wanted), shape=shape, labels=len(places)):
        where = places[labels]
        yield x[where >= 0], where[where >= 0]


class Unlabelled:
    """Batches of images, with labels, which do not count, or without."""

    def __init__(self, batches: Iterable[Any]) -> None:
        refuse_one_shot(batches)
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            x = batch[0] if isinstance(batch, tuple | list) and batch else batch
            yield (x, torch.zeros(len(x), dtype=torch.int64)) if isinstance(x, Tensor) else batch

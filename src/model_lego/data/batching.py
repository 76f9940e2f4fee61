"""Image batches: any re-iterable of (images, labels), checked while it is read."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from model_lego.digest import image_digests
from model_lego.errors import BadBatches
from model_lego.parts.image_shapes import Shape, check_shape
from model_lego.parts.preparing import scaled
from model_lego.parts.preprocessing import Preprocessing
from model_lego.progress import Counted, Progress, hint_of, number_of, quiet, tracked

#: Re-iterable of (images float B x C x H x W, labels int64 B).
Batches = Iterable[tuple[Tensor, Tensor]]


def checked(
    batches: Batches,
    *,
    shape: Shape | None = None,
    labels: int | None = None,
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches and refuse what cannot be used.

    `shape` is what an image has to have (channels x height x width, None for any), `labels` the number of classes; of
    a share (first, step) only every step-th batch is looked at. Raises BadBatches (one-shot, empty, NaN, labels out of
    range), ShapeMismatch. Pixels of 0..255 (uint8) come scaled to 0..1.
    """
    number = number_of(batches)
    pairs = _checked_pairs(batches, shape, labels, share)
    return Counted(pairs, None if number is None else len(range(share[0], number, share[1])))


def _checked_pairs(
    batches: Batches, shape: Shape | None, labels: int | None, share: tuple[int, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    refuse_one_shot(batches)
    number = -1
    for number, batch in enumerate(batches):
        if number % share[1] != share[0]:
            continue
        if not isinstance(batch, tuple | list) or len(batch) != 2 or not all(isinstance(b, Tensor) for b in batch):
            raise BadBatches(f"batch {number} is not a pair (images, labels) of tensors")
        yield _checked_pair(number, batch[0], batch[1], shape, labels)
    if number < 0:
        raise BadBatches("the batches are empty; give at least one (images, labels)")


def refuse_one_shot(batches: Batches) -> None:
    """Raise BadBatches for a generator: confidence, statistics and repair each read the batches once."""
    if iter(batches) is batches:
        raise BadBatches(
            f"the batches are a one-shot {type(batches).__name__}, but they are read several times; "
            "give a list or a DataLoader"
        )


def _checked_pair(
    number: int, images: Tensor, labels: Tensor, shape: Shape | None, count: int | None
) -> tuple[Tensor, Tensor]:
    if images.dtype == torch.uint8:
        images = scaled(images)
    if not images.is_floating_point():
        raise BadBatches(f"images of batch {number} are {images.dtype}; give floats, scaled as the network wants them")
    if shape is not None:
        check_shape(f"images of batch {number}", images, shape)
    if not bool(torch.isfinite(images).all()):
        raise BadBatches(f"images of batch {number} contain NaN or infinite values")
    if labels.dim() != 1 or len(labels) != len(images) or labels.is_floating_point():
        raise BadBatches(
            f"labels of batch {number} have shape {tuple(labels.shape)} ({labels.dtype}) for {len(images)} images; "
            "give one int64 an image"
        )
    labels = labels.to(device="cpu", dtype=torch.int64)
    if count is not None and len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < count):
        wrong = int(labels.min()) if int(labels.min()) < 0 else int(labels.max())
        raise BadBatches(f"label {wrong} of batch {number} is out of range: there are {count} classes")
    return images, labels


def only(batches: Batches, labels: Iterable[int]) -> Batches:
    """The same batches, where they can, without the images of other classes, which are then not even read.

    Batches that can have a method `only(labels)`; there are as many of them then, some of them smaller or empty.
    """
    narrower = getattr(batches, "only", None)
    return batches if narrower is None else narrower(labels)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Images as a network takes them, made when they are looked at: a slice is a tensor N x C x H x W.

    `held` has the bytes of each image, where these say all of it, else the image as it is taken, C x H x W.
    """

    held: tuple[Tensor, ...]
    shape: tuple[int, ...]
    prepare: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, some: slice) -> Tensor:
        made = [one[None] if one.dtype != torch.uint8 else self._prepared(scaled(one[None])) for one in self.held[some]]
        return torch.cat(made) if made else torch.empty(0, *self.shape)

    def _prepared(self, images: Tensor) -> Tensor:
        return images if self.prepare is None else self.prepare(images)


#: Images N x C x H x W of which slices are taken.
Images = Tensor | Seen


def chosen(images: Images, places: Sequence[int]) -> Images:
    """Some images, by their places; a range of a tensor's shares its memory."""
    if isinstance(images, Seen):
        return replace(images, held=tuple(images.held[at] for at in places))
    some: Any = slice(places.start, places.stop) if isinstance(places, range) else list(places)
    return images[some]


def together(one: Images, other: Images) -> Images:
    """The images of both, one after the other; as they are held, where both are held alike."""
    if isinstance(one, Seen) and isinstance(other, Seen) and one.prepare is other.prepare:
        return replace(one, held=one.held + other.held)
    return torch.cat([one[:], other[:].to(one[:1])])


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Images as a network takes them, their labels, and the digest of each as it was given."""

    seen: Images
    labels: Tensor
    digests: tuple[bytes, ...]

    @property
    def images(self) -> Tensor:
        """All of the images, N x C x H x W; `seen` takes less memory, of which some are looked at at a time."""
        return self.seen[:]

    def at(self, places: Sequence[int]) -> "Drawn":
        """Some of them, by their places; a range of these shares their memory."""
        some: Any = slice(places.start, places.stop) if isinstance(places, range) else list(places)
        return Drawn(chosen(self.seen, places), self.labels[some], tuple(self.digests[at] for at in places))


def shuffled(batches: Batches, seed: int) -> Batches:
    """The same images in another order, where the batches can: those that have a method `shuffled(seed)`."""
    shuffler = getattr(batches, "shuffled", None)
    return batches if shuffler is None else shuffler(seed)


def sampled(batches: Batches, limit: int, seed: int) -> tuple[Batches, Callable[[int], int]]:
    """A seeded sample of at most so many images where the batches can give one, else as they come; and their numbers.

    Batches that can have a method `sampled(limit, seed)`. The numbers are the places at which images come in the whole,
    by their places in the sample.
    """
    sampler = getattr(batches, "sampled", None)
    return (batches, int) if sampler is None else sampler(limit, seed)


def called(batches: Batches) -> Callable[[int], str]:
    """What the image that comes at a place is called: as the batches' method `called(place)` says, else its number."""
    known: Callable[[int], str] = getattr(batches, "called", "no. {}".format)
    return known


def absent(batches: Batches, labels: Iterable[int]) -> list[int]:
    """The labels that no image has, where the batches know that without reading: by a method `absent(labels)`."""
    known = getattr(batches, "absent", None)
    return [] if known is None else known(labels)


def drawn(
    batches: Batches,
    wanted: Sequence[int],
    *,
    shape: Shape,
    labels: int,
    limit: int | None,
    prepare: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Drawn:
    """Images of the wanted labels, by `prepare`: all, or a seeded sample of at most `limit` in random order.

    `shape` and `labels` as for `checked`. Everything is empty where there is no such image. Raises BadBatches,
    ShapeMismatch.
    """
    mine = torch.tensor(list(wanted))
    kept: list[tuple[float, Tensor, int, bytes]] = []
    worst = math.inf  # the largest ticket that can still win: images beyond it are neither prepared nor digested
    generator, room = torch.Generator().manual_seed(seed), _Room()
    for images, numbers in tracked(
        checked(batches, shape=shape, labels=labels), "drawing calibration images", progress
    ):
        tickets = torch.rand(len(images), generator=generator, dtype=torch.float64)  # of all, whatever is left out
        chosen = torch.isin(numbers, mine) & (tickets < worst)
        if not bool(chosen.any()):
            continue
        given = images[chosen]
        seen = given if prepare is None else prepare(given)
        alone = [room.put(image) for image in _held(given, seen)]  # what is not kept of a batch is not held either
        kept += zip(tickets[chosen].tolist(), alone, numbers[chosen].tolist(), image_digests(given), strict=True)
        if limit is not None and len(kept) > 1.25 * limit:  # the smallest tickets win, so the rest can go at any time
            kept.sort(key=lambda ticket: ticket[0])
            for _, image, _, _ in kept[limit:]:
                room.free(image)
            del kept[limit:]
            worst = kept[-1][0]
    if limit is not None:
        kept = sorted(kept, key=lambda ticket: ticket[0])[:limit]
    labels_kept, digests = [label for *_, label, _ in kept], tuple(digest for *_, digest in kept)
    taken = Seen(tuple(image for _, image, _, _ in kept), tuple(side or 0 for side in shape), prepare)
    return Drawn(taken, torch.tensor(labels_kept, dtype=torch.int64), digests)


class _Room:
    """Room for images that stay, in blocks that the system gives as they are.

    One by one among what each batch leaves behind they keep the allocator from giving that back: a gigabyte for 2,000
    images of 224 x 224.
    """

    #: Bytes of a block, more than glibc ever takes from its heap (32 MiB); pages are used as they are written.
    BLOCK = 64 << 20
    #: Images of a block at most: small ones are few bytes wherever they are.
    IMAGES = 512

    def __init__(self) -> None:
        self._places: dict[tuple[torch.dtype, torch.Size], list[Tensor]] = {}

    def put(self, image: Tensor) -> Tensor:
        """A copy of an image, in a place of its own."""
        places = self._places.setdefault((image.dtype, image.shape), [])
        if not places:
            count = max(1, min(self.IMAGES, self.BLOCK // max(1, image.nbytes)))
            places += image.new_empty(count, *image.shape).unbind()[::-1]
        return places.pop().copy_(image)

    def free(self, image: Tensor) -> None:
        """The place of an image that is not kept is another's."""
        self._places[image.dtype, image.shape].append(image)


def _held(given: Tensor, seen: Tensor) -> Tensor:
    """Images as they are held until they are looked at: the bytes they were, where these are fewer and say it all."""
    pixels = given.mul(255).round_().clamp_(0, 255).to(torch.uint8)
    fewer = pixels[0].nbytes < seen[0].nbytes and seen.dtype == torch.float32  # as bytes are scaled
    return pixels if fewer and torch.equal(scaled(pixels), given) else seen


class Mapped:
    """Batches with a function applied to the images each time they are read."""

    def __init__(self, batches: Batches, function: Callable[[Tensor], Tensor]) -> None:
        refuse_one_shot(batches)
        self._batches = batches
        self._function = function

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in self._batches:
            yield self._function(images), labels

    def __length_hint__(self) -> int:
        return hint_of(number_of(self._batches))

    def only(self, labels: Iterable[int]) -> "Mapped":
        """Without the images of other classes."""
        return Mapped(only(self._batches, labels), self._function)

    def absent(self, labels: Iterable[int]) -> list[int]:
        """The labels that no image has, where the batches know that."""
        return absent(self._batches, labels)

    def shuffled(self, seed: int) -> "Mapped":
        """In another order, where the batches can."""
        return Mapped(shuffled(self._batches, seed), self._function)


class Relabelled:
    """Batches with other label numbers: `places` has the new one of each old one, -1 where its images are left out."""

    def __init__(self, batches: Batches, places: Sequence[int]) -> None:
        refuse_one_shot(batches)
        self._batches = batches
        self._places = torch.tensor(list(places), dtype=torch.int64)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in checked(self._batches, labels=len(self._places)):
            places = self._places[labels]
            if bool((places >= 0).any()):
                yield images[places >= 0], places[places >= 0]


def prepared(batches: Batches, preprocessing: Preprocessing | None) -> Batches:
    """Batches as the network takes them; refuses one-shot generators, and pixels of 0..255 for a bare network."""
    refuse_one_shot(batches)
    if preprocessing is not None:
        return Mapped(batches, preprocessing)
    first = next(iter(batches), None)
    images = first[0] if isinstance(first, tuple | list) and len(first) else None  # what else is wrong is said later
    if isinstance(images, Tensor) and images.dtype == torch.uint8:
        raise BadBatches(
            "the images are uint8, and how the network wants them scaled is not said; give floats as it takes them, or "
            "a preprocessing"
        )
    return batches


def first_images(batches: Batches) -> Tensor:
    """The first images, by which a network is traced."""
    images, _ = next(checked(batches))
    return images[:2]

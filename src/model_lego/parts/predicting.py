"""predict: what a part takes images for, batch by batch, while the next files are read."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, cast

import torch
from torch import Tensor

from model_lego.errors import BadBatches, BadConfig, LegoError, ShapeMismatch
from model_lego.parts.answers import answer_of
from model_lego.parts.assembly import Assembly
from model_lego.parts.classifier import Images
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import Shape, check_shape, common_preprocessing, taken_by
from model_lego.parts.predictions import Predictions
from model_lego.parts.preparing import scaled
from model_lego.parts.preprocessing import Preprocessing
from model_lego.pictures.finding import find_pictures
from model_lego.pictures.reading import Unreadable
from model_lego.pictures.taking import picture_for
from model_lego.progress import Progress, quiet, tracked

Item = TypeVar("Item")
Read = TypeVar("Read")

#: What is said of a component with one class.
LONE = "the part has a single class, '{}', so that every image is taken for it with probability 1; look at the logits"
#: Threads that read files: each may hold a large one.
READERS = 4


def predict(
    part: Component | Assembly, images: Images, *, batch_size: int = 128, progress: Progress = quiet
) -> Predictions:
    """Say what a part takes images for; see `Component.predict`."""
    given, missing = _listed(images, len(taken_by(part)))
    made = list(predicted(part, given, missing=missing, batch_size=batch_size, progress=progress))
    whole = Predictions(
        images=tuple(chain.from_iterable(some.images for some in made)),
        classes=part.classes,
        logits=torch.cat([some.logits for some in made]),
        errors=tuple(chain.from_iterable(some.errors for some in made)),
    )
    if len(part.classes) == 1:
        warnings.warn(LONE.format(*part.classes), stacklevel=3)
    if failed := whole.failed:
        image, error = next(iter(failed.items()))
        if len(failed) == len(whole):
            raise BadBatches(f"none of {len(whole)} images can be read; '{image}': {error}")
        warnings.warn(f"{len(failed)} of {len(whole)} images cannot be read; '{image}': {error}", stacklevel=3)
    return whole


def predicted(
    part: Component | Assembly,
    images: Sequence[str | Tensor],
    *,
    missing: Mapping[str, str] = MappingProxyType({}),
    batch_size: int = 128,
    progress: Progress = quiet,
) -> Iterator[Predictions]:
    """Say what a part takes images for, so many at once; each is a path, or a tensor, channels x height x width.

    Of paths that are `missing` it is known why they cannot be read. Raises as `Component.predict`.
    """
    if batch_size < 1:
        raise BadConfig(f"batch size {batch_size} has to be at least 1")
    if not images:
        raise BadBatches("there are no images to predict; give paths or tensors")
    reader = _Reader(taken_by(part), _geometry(part), missing)
    read = tracked(ahead(reader, images, batch_size), "predicting", progress, total=len(images))
    for first in range(0, len(images), batch_size):
        some = list(islice(read, batch_size))
        names = tuple(
            name if isinstance(name, str) else number
            for number, name in enumerate(images[first : first + batch_size], first)
        )
        yield _answered(part, names, some)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads an image as a part takes it, channels x height x width in 0..1, or says why a file cannot be read."""

    shape: Shape
    geometry: Preprocessing | None
    missing: Mapping[str, str]

    def __call__(self, image: str | Tensor) -> Tensor | str:
        if isinstance(image, Tensor):
            return self._checked(image)
        if image in self.missing:
            return self.missing[image]
        try:
            return self._of_file(image)
        except Unreadable as error:
            return error.reason
        except LegoError as error:
            return str(error)

    def _of_file(self, path: str) -> Tensor:
        if self.geometry is None:
            raise ShapeMismatch(f"the network takes {self.shape}, which is no picture; give tensors")
        return picture_for(path, self.shape[0], self.geometry.resized)

    def _checked(self, image: Tensor) -> Tensor:
        check_shape("images", image[None], self.shape)
        image = scaled(image)
        if not bool(torch.isfinite(image).all()):
            raise BadBatches("the images contain NaN or infinite values")
        return image


def _geometry(part: Component | Assembly) -> Preprocessing | None:
    """How files are brought to the size of a part: as it resizes, else to the size of its network; None without any."""
    sides = taken_by(part)[1:]
    if len(sides) != 2:
        return None
    return common_preprocessing(part) or Preprocessing(size=cast("tuple[int, int]", sides))


def ahead(read: Callable[[Item], Read], items: Iterable[Item], number: int) -> Iterator[Read]:
    """What is read of items, in their order; so many are read ahead by threads while the last ones are used."""
    coming: deque[Future[Read]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for item in items:
                coming.append(pool.submit(read, item))
                if len(coming) > number:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for each in coming:
                each.cancel()


def _answered(part: Component | Assembly, names: tuple[str | int, ...], images: Sequence[Tensor | str]) -> Predictions:
    """The answers to a batch; images of a part that resizes may be of several sizes, and those alike run at once."""
    alike: dict[object, dict[int, Tensor]] = {}
    for place, image in enumerate(images):
        if isinstance(image, Tensor):
            alike.setdefault((image.shape, image.dtype), {})[place] = image
    like = next((tensor for tensor in part.parameters() if tensor.is_floating_point()), torch.empty(0))
    logits = torch.full((len(images), len(part.classes)), torch.nan)
    for some in alike.values():
        answers = answer_of(part, torch.stack([*some.values()]).to(like)).cpu()
        logits = logits.to(answers.dtype)
        logits[[*some]] = answers
    errors = [image if isinstance(image, str) else None for image in images]
    for place in logits.double().softmax(1).isnan().any(1).nonzero()[:, 0].tolist():
        errors[place] = errors[place] or f"the network has no answer: its logits are {logits[place].tolist()[:3]} …"
    return Predictions(names, part.classes, logits, tuple(errors))


def _listed(images: Images, dimensions: int) -> tuple[list[str | Tensor], dict[str, str]]:
    """Paths and images one by one, and which paths are known to be none; `dimensions` are those of one image."""
    given: list[str | Tensor] = []
    missing: dict[str, str] = {}
    for each in [images] if isinstance(images, str | Path | Tensor) else images:
        if isinstance(each, Tensor):
            given += each.unbind() if each.dim() > dimensions else [each]
        elif isinstance(each, str | Path):
            found = find_pictures([each])
            given += found.paths
            missing |= found.missing
            for note in found.notes:
                warnings.warn(note, stacklevel=4)
        else:
            raise BadBatches(f"predict takes paths and tensors of images, not {type(each).__name__}")
    return given, missing

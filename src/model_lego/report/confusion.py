"""Which classes are taken for which, and the images that show it: right ones and the surest mistakes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model_lego.data.batching import Batches, called, checked
from model_lego.data.thumbnails import Photo, can_be_shown, thumbnail
from model_lego.errors import UnknownClass
from model_lego.graph.modules import device_of
from model_lego.parts.answers import evaluating
from model_lego.parts.assembly import Assembly, rejects, told_classes
from model_lego.parts.class_names import ClassNames, names_for
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import taken_by
from model_lego.progress import Progress, quiet, tracked

#: Right images that are kept of each class, and images of each class that is taken for another: the surest of them.
RIGHT, WRONG = 4, 8


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """An image with what the part takes it for, and how sure of it the part is (0..1)."""

    photo: Photo
    answer: str
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """What a part takes images for: `counts`, (classes + 1) x classes, int64, the last row of other classes' images.

    `shown` has for each pair of these, (row, column), the images that the part is surest of, the surest first: at most
    `RIGHT` right ones, `WRONG` wrong ones; nothing where images are no pictures. Images are numbered as they came.
    """

    classes: tuple[str, ...]
    counts: Tensor
    shown: dict[tuple[int, int], tuple[Answered, ...]]
    rejecting: bool = False  # whether the last class is "none of these"

    @property
    def mistakes(self) -> tuple[Answered, ...]:
        """Images of the part's classes that it takes for others of them."""
        right = self.right_rows
        return self._surest((row, column) for row, column in self.shown if self._known(row) and row != right[column])

    @property
    def others(self) -> tuple[Answered, ...]:
        """Images of classes that the part does not have."""
        return self._surest(pair for pair in self.shown if not self._known(pair[0]))

    @property
    def asked(self) -> int:
        """How many images it can be right or wrong about."""
        return int(sum(counts.sum() for row, counts in enumerate(self.counts) if self._known(row)))

    @property
    def wrong(self) -> int:
        """How many of them it is wrong about."""
        return self.asked - sum(int(self.counts[row, column]) for column, row in enumerate(self.right_rows))

    @property
    def right_rows(self) -> list[int]:
        """The row of the images that are right in each column: of "none of these" that of all other classes."""
        return _right_rows(self.classes, rejecting=self.rejecting)

    def _known(self, row: int) -> bool:
        return row < len(self.classes) or self.rejecting

    def _surest(self, pairs: Iterable[tuple[int, int]]) -> tuple[Answered, ...]:
        found = [one for pair in pairs for one in self.shown[pair]]
        return tuple(sorted(found, key=lambda one: (-one.probability, one.photo.number)))


@torch.no_grad()
def confusion(
    part: Component | Assembly,
    batches: Batches,
    *,
    class_names: ClassNames | None = None,
    progress: Progress = quiet,
) -> Confusion:
    """Count what a part takes images for, in one pass, and keep small copies of those that it is surest of.

    Labels are positions in `part.classes`, unless `class_names` names them, as in `evaluate`. An assembly's class "none
    of these" is right for images of other classes. Raises UnknownClass, BadBatches, ShapeMismatch.
    """
    names = names_for(part, class_names)
    if absent := [name for name in told_classes(part) if name not in names]:
        raise UnknownClass(f"class_names do not name the part's class '{absent[0]}'")
    count, shape = len(part.classes), taken_by(part)
    told = told_classes(part)
    rows = torch.tensor([told.index(name) if name in told else count for name in names])
    counts = torch.zeros(count + 1, count, dtype=torch.int64)
    surest = _Surest(part.classes, names, called(batches), rejects(part))
    device = device_of(part)
    with evaluating(part):
        for images, labels in tracked(checked(batches, shape=shape, labels=len(names)), "counting answers", progress):
            if not len(labels):
                continue
            probabilities, answers = part(images.to(device)).double().softmax(1).max(1)
            places = (rows[labels], answers.cpu())
            counts.index_put_(places, torch.ones_like(labels), accumulate=True)
            if can_be_shown(shape):
                surest.add(images, labels, places, probabilities.cpu())
    return Confusion(part.classes, counts, surest.kept(), rejects(part))


def _right_rows(classes: Sequence[str], *, rejecting: bool) -> list[int]:
    rows = list(range(len(classes)))
    return [*rows[:-1], len(classes)] if rejecting else rows


@dataclass(slots=True, eq=False)
class _Surest:
    """The images that a part is surest of, for each class that images are of and each that they are taken for."""

    classes: tuple[str, ...]
    names: Sequence[str]
    called: Callable[[int], str]
    rejecting: bool
    found: dict[tuple[int, int], list[Answered]] = field(default_factory=dict)
    seen: int = 0

    def add(self, images: Tensor, labels: Tensor, places: tuple[Tensor, Tensor], probabilities: Tensor) -> None:
        """Take a batch; `places` are the rows and columns of its images."""
        right = _right_rows(self.classes, rejecting=self.rejecting)
        for at in probabilities.argsort(descending=True, stable=True).tolist():
            pair = int(places[0][at]), int(places[1][at])
            kept = self.found.setdefault(pair, [])
            most = RIGHT if pair[0] == right[pair[1]] else WRONG
            probability = float(probabilities[at])
            if len(kept) < most or probability > kept[-1].probability:
                number = self.seen + at
                photo = Photo(thumbnail(images[at]), number, self.names[int(labels[at])], self.called(number))
                kept.append(Answered(photo, self.classes[pair[1]], probability))
                kept.sort(key=lambda one: -one.probability)  # stable: of equally sure ones the first stay
                del kept[most:]
        self.seen += len(labels)

    def kept(self) -> dict[tuple[int, int], tuple[Answered, ...]]:
        """What is left, by row and column."""
        return {pair: tuple(self.found[pair]) for pair in sorted(self.found)}

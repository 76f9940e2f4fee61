"""The calibration images of an assembly and the class of each; noise where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.data.batching import Batches, checked
from model_lego.digest import image_digests, packed
from model_lego.errors import BadConfig, UnknownClass
from model_lego.parts.class_names import ClassNames, names_of
from model_lego.parts.component import Component
from model_lego.parts.image_shapes import noise_of, taken_by
from model_lego.parts.join_record import Labels
from model_lego.progress import Progress, tracked

#: Images that run at once.
CHUNK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """All calibration images of an assembly's classes; `labels` are positions in these classes.

    `of` says what the labels were when they were given, and `digests` are those of the images, packed.
    """

    images: Tensor
    labels: Tensor
    of: Labels
    digests: str


def read_calibration(
    parts: Sequence[Component],
    calibration: Batches,
    *,
    classes: Sequence[str],
    labels: Labels,
    class_names: ClassNames | None,
    progress: Progress,
) -> Labelled:
    """Read all calibration images of an assembly's classes.

    With `labels` "parts" the batches' labels are numbers of parts, and the class is the one that the part takes the
    image for. Raises UnknownClass for a class that no image has, BadBatches, ShapeMismatch, BadConfig.
    """
    if labels == "parts" and class_names is not None:
        raise BadConfig("with labels='parts' the labels are numbers of parts; leave class_names out")
    position = torch.arange(len(parts)) if labels == "parts" else _positions(classes, class_names)
    images, positions = [], []
    reader = checked(calibration, shape=taken_by(*parts), labels=len(position))
    for some, numbers in tracked(reader, "reading calibration images", progress):
        mine = position[numbers]
        images.append(some[mine >= 0])
        positions.append(mine[mine >= 0])
    given = torch.cat(images)
    every = given.to(next(parts[0].parameters()))
    places = torch.cat(positions)
    if labels == "parts":
        places = _own_answers(parts, every, places, classes)
    absent = [name for number, name in enumerate(classes) if not bool((places == number).any())]
    if absent:
        taken = ", that is, none that its part takes for it" if labels == "parts" else ""
        raise UnknownClass(f"there is no calibration image of class '{absent[0]}'{taken}; give more images")
    return Labelled(every, places, labels, packed(image_digests(given)))


def noise(parts: Sequence[Component]) -> Tensor:
    """Two random images as the parts take them, always the same."""
    first = parts[0].origin.input_shape
    shape = tuple(side or own for side, own in zip(taken_by(*parts), first, strict=True))
    return noise_of(shape).to(next(parts[0].parameters()))


def _positions(classes: Sequence[str], class_names: ClassNames | None) -> Tensor:
    """Position in `classes` of each label number, -1 for other classes."""
    known = classes if class_names is None else names_of(class_names)
    missing = [name for name in classes if name not in known]
    if missing:
        raise UnknownClass(f"the calibration images have no class '{missing[0]}'; class_names has to name it")
    return torch.tensor([classes.index(name) if name in classes else -1 for name in known])


@torch.no_grad()
def _own_answers(parts: Sequence[Component], images: Tensor, owners: Tensor, classes: Sequence[str]) -> Tensor:
    """For each image the class that its own part, alone, takes it for."""
    answers = torch.empty_like(owners)
    for number, part in enumerate(parts):
        mine = (owners == number).nonzero().reshape(-1)
        if not len(mine):
            raise UnknownClass(
                f"there is no calibration image of part {number + 1}; give some, with the label {number}"
            )
        own = torch.tensor([classes.index(name) for name in part.classes])
        for some in mine.split(CHUNK):
            answers[some] = own[part(images[some]).argmax(1).cpu()]
    return answers

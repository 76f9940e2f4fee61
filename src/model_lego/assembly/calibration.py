"""The calibration images of an assembly and the class of each; noise where there are none."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from model_lego.data.batching import Batches, checked
from model_lego.digest import image_digests, packed
from model_lego.errors import BadConfig, UnknownClass
from model_lego.heads.fitting import Labelled, Settled
from model_lego.parts.assembly import Part, aliases_in, leaves, own_classes, side_by_side
from model_lego.parts.class_names import ClassNames, names_of
from model_lego.parts.grouping import Groups, counted_as, group_of, grouped
from model_lego.parts.image_shapes import noise_of, taken_by
from model_lego.parts.join_record import Labels
from model_lego.progress import Progress, tracked

#: Images that run at once.
CHUNK = 256


def read_calibration(
    parts: Sequence[Part],
    calibration: Batches,
    settled: Settled,
    *,
    labels: Labels,
    class_names: ClassNames | None,
    progress: Progress,
) -> Labelled:
    """Read all calibration images of an assembly's classes.

    With `labels` "parts" the batches' labels are numbers of parts, and the class is the one that the part takes the
    image for. The members of a group are told apart where there are images of each and none of the group by its own
    name. Raises UnknownClass for a class that no image has, BadBatches, ShapeMismatch, BadConfig.
    """
    names = tuple(dict.fromkeys((*settled.terms, *settled.groups)))
    if labels == "parts" and class_names is not None:
        raise BadConfig("with labels='parts' the labels are numbers of parts; leave class_names out")
    position = torch.arange(len(parts)) if labels == "parts" else _positions(names, parts, settled, class_names)
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
        places = _own_answers(parts, every, places, names)
    there = {names[place] for place in places.unique().tolist()}
    coarse = settled.groups if labels == "parts" else _untold(settled.groups, there)
    classes = grouped(settled.terms, coarse)[0]
    if absent := [name for name in classes if name not in counted_as(there, group_of(coarse))]:
        taken = ", that is, none that its part takes for it" if labels == "parts" else ""
        raise UnknownClass(f"there is no calibration image of class '{absent[0]}'{taken}; give more images")
    counted = counted_as(names, group_of(coarse))
    told = torch.tensor([classes.index(name) if name in classes else -1 for name in counted])
    return Labelled(every, told[places], classes, labels, packed(image_digests(given)))


def _untold(groups: Groups, there: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The groups whose members are not told apart by images of the classes that are `there`."""
    return {
        name: members
        for name, members in groups.items()
        if not set(members) <= set(there) or (name in there and name not in members)
    }


def noise(parts: Sequence[Part]) -> Tensor:
    """Two random images as the parts take them, always the same."""
    first = next(leaves(*parts)).origin.input_shape
    shape = tuple(side or own for side, own in zip(taken_by(*parts), first, strict=True))
    return noise_of(shape).to(next(parts[0].parameters()))


def _positions(names: Sequence[str], parts: Sequence[Part], settled: Settled, class_names: ClassNames | None) -> Tensor:
    """Position in `names` of each label number, -1 for other classes."""
    given = settled.classes if class_names is None else names_of(class_names)
    known = counted_as(given, aliases_in(parts, settled.terms))
    there = {*known, *counted_as(known, group_of(settled.groups))}
    if missing := [name for name in settled.classes if name not in there]:
        raise UnknownClass(f"the calibration images have no class '{missing[0]}'; class_names has to name it")
    return torch.tensor([names.index(name) if name in names else -1 for name in known])


@torch.no_grad()
def _own_answers(parts: Sequence[Part], images: Tensor, owners: Tensor, classes: Sequence[str]) -> Tensor:
    """For each image the class that its own part, alone, takes it for."""
    answers = torch.empty_like(owners)
    for number, part in enumerate(parts):
        mine = (owners == number).nonzero().reshape(-1)
        if not len(mine):
            raise UnknownClass(
                f"there is no calibration image of part {number + 1}; give some, with the label {number}"
            )
        own = torch.tensor([classes.index(name) for name in own_classes(part)])
        for some in mine.split(CHUNK):
            answers[some] = own[side_by_side([part], images[some]).argmax(1).cpu()]
    return answers

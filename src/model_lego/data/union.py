"""Several data sets as one: what an assembly of parts from different sources has to be measured on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model_lego.data.sets import DataSplit, ImageSet, subset
from model_lego.errors import BadConfig, ClassClash, EmptySelection


def joined(splits: Sequence[DataSplit], *, same: bool = False) -> DataSplit:
    """Data sets as one: the classes of all of them, in order; images keep their sizes and come set by set.

    Label numbers are positions in the joined `class_names`. A class name that several sets have is one class with
    `same=True`; otherwise it is a ClassClash. Raises BadConfig for no data set.
    """
    if not splits:
        raise BadConfig("there is no data set to join; give at least one")
    names = [name for split in splits for name in split.class_names]
    classes = tuple(dict.fromkeys(names))
    if len(classes) < len(names) and not same:
        twice = next(name for name in classes if names.count(name) > 1)
        raise ClassClash(f"several data sets have a class '{twice}'; take same=True where it is one and the same class")
    maps = [torch.tensor([classes.index(name) for name in split.class_names]) for split in splits]
    train = _joined([split.train for split in splits], maps)
    notes = tuple(note for split in splits for note in split.notes)
    return DataSplit(train, _joined([split.test for split in splits], maps), classes, notes)


def of_classes(split: DataSplit, classes: Sequence[str]) -> DataSplit:
    """A data set's images of some classes alone, labels being positions in `classes`; raises EmptySelection."""
    absent = [name for name in classes if name not in split.class_names]
    if absent:
        raise EmptySelection(f"there is no image of class '{absent[0]}' in the data")
    numbers = [split.class_names.index(name) for name in classes]
    train, test = (subset(part, numbers, class_names=split.class_names) for part in (split.train, split.test))
    return DataSplit(train, test, tuple(classes), split.notes)


def _joined(parts: Sequence[ImageSet], maps: Sequence[Tensor]) -> ImageSet:
    owner = torch.cat([torch.full((len(part),), number) for number, part in enumerate(parts)]).tolist()
    numbers = torch.cat([part.numbers for part in parts]).tolist()

    def image(place: int) -> Tensor:
        found: Tensor = parts[owner[place]].image(numbers[place])
        return found

    labels = torch.cat([positions[part.labels] for positions, part in zip(maps, parts, strict=True)])
    return ImageSet(labels, image, torch.arange(len(labels)))

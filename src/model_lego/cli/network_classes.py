"""The classes of a network as a command line names them, and which of them the data has."""

from collections.abc import Sequence
from functools import partial

from model_lego.data import DataSplit
from model_lego.data.class_matching import classes_called
from model_lego.data.imagenet import IMAGENET, imagenet_names
from model_lego.data.matched import matched, misnamed
from model_lego.errors import UnknownClass
from model_lego.parts.class_names import fitting, label_numbers, spelled

#: What stands for every class that has images.
ALL = "all"


def source_classes(texts: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...] | None:
    """The classes of a network as they are written: names, those of ImageNet, or numbers of the data's classes.

    Raises UnknownClass, BadConfig.
    """
    if not texts:
        return None
    if list(texts) == [IMAGENET] and IMAGENET not in known:
        return imagenet_names()
    numbers = partial(label_numbers, names=known, owner="data")
    return tuple(item if isinstance(item, str) else known[numbers(item)[0]] for item in spelled(texts, known))


def in_classes(split: DataSplit, count: int, named: Sequence[str] | None, class_map: str | None) -> DataSplit:
    """Data in the classes of a network that has so many; raises UnknownClass, BadConfig."""
    if named is not None and len(named) != count:
        raise misnamed(count, named)
    return matched(split, count if named is None else fitting(named, count), class_map=class_map)


def asked_classes(texts: Sequence[str] | None, names: Sequence[str], present: Sequence[str]) -> list[str | int]:
    """Some of the named classes as they are written; by default, and for "all", all those that are `present`.

    Raises UnknownClass, BadConfig.
    """
    if not texts or (list(texts) == [ALL] and ALL not in names):
        return list(present)
    return [_called(item, names) for item in spelled(texts, names)]


def _called(item: str | int, names: Sequence[str]) -> str | int:
    """A class by its name, where a word for it is no name but can only be one."""
    if isinstance(item, int) or item in names:
        return item
    found = classes_called(item, names)
    if len(found) > 1:
        raise UnknownClass(f"'{item}' may be {' or '.join(found)}; give its name or number")
    return found[0] if found else item

"""Data in the classes of a network: images get its label numbers, whatever the data calls its classes."""

import warnings
from collections.abc import Sequence

from model_lego.data.class_maps import ClassMap, read_class_map
from model_lego.data.class_matching import match_classes, some
from model_lego.data.class_words import is_wordnet_number
from model_lego.data.imagenet import IMAGENET, imagenet_names, proves_imagenet, wordnet_numbers
from model_lego.data.sets import DataSplit, relabelled
from model_lego.errors import UnknownClass
from model_lego.parts.class_names import ClassNames, names_of

#: Classes of a network: their names, "imagenet" for those of ImageNet, or their number where they have no names.
NetworkClasses = ClassNames | str | int


def matched(
    split: DataSplit,
    classes: NetworkClasses,
    *,
    class_map: ClassMap | None = None,
    sources: Sequence[Sequence[str]] | None = None,
    more: bool = False,
) -> DataSplit:
    """A data set whose labels are places in `classes`; other images are left out, or with `more` come behind.

    Classes are found and refused as in `match_classes`; what has to be said of them comes as warnings, too.
    """
    names, assumed = _names(classes, split.class_names, class_map)
    if names == split.class_names and class_map is None:
        return split
    known = match_classes(split.class_names, names, class_map=class_map, sources=sources, more=more)
    for note in (*assumed, *known.notes):
        warnings.warn(note, stacklevel=1)  # from one place, so that data that is opened twice says it once
    train, test = (relabelled(images, known.places) for images in (split.train, split.test))
    return DataSplit(train, test, known.names, (*split.notes, *assumed, *known.notes))


def _names(
    classes: NetworkClasses, words: tuple[str, ...], class_map: ClassMap | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of a network's classes, with what was assumed; raises UnknownClass."""
    if classes == IMAGENET:
        return imagenet_names(), ()
    if not isinstance(classes, int):
        return names_of(classes), ()
    if classes == len(words) and class_map is None:
        return words, ()
    entries = () if class_map is None else read_class_map(class_map)
    asked: dict[str, str | None] = {}
    asked |= zip(words, words, strict=True)
    asked |= ((each.folder, each.word) for each in entries)
    if classes == len(imagenet_names()) and proves_imagenet([word for word in asked.values() if word is not None]):
        return imagenet_names(), ("the network's classes are taken as ImageNet's, by the data's WordNet numbers",)
    return _by_number(classes, asked), ()


def _by_number(count: int, asked: dict[str, str | None]) -> tuple[str, ...]:
    """Names for classes that have none: the data's, where a number is said for it, else their numbers.

    Raises UnknownClass where a word says no number.
    """
    names = [str(number) for number in range(count)]
    numbers = {word: int(number) for word, number in asked.items() if number in names}
    if not numbers or any(word is not None and not word.isdecimal() for word in asked.values()):
        raise misnamed(count, list(asked))
    for word, number in numbers.items():
        if not word.isdecimal():
            names[number] = word
    return tuple(names)


def misnamed(count: int, names: Sequence[str]) -> UnknownClass:
    """The error for so many classes and other names, of which none says a number."""
    wordnet = any(map(is_wordnet_number, names)) and not wordnet_numbers()
    imagenet = ", 'imagenet' for ImageNet's" if count == len(imagenet_names()) else ""
    return UnknownClass(
        f"the network has {count} classes, but {len(names)} are named ({some(names, 5)}); name all of them in "
        f"the order of its logits (classes=){imagenet}, or say in a class_map which number each is"
        + ("; WordNet numbers are known with timm: pip install model-lego[timm]" if wordnet else "")
    )

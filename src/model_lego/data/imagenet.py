"""ImageNet's 1,000 classes as the libraries that know them have them: names from torchvision, WordNet from timm."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

from model_lego.data.class_words import words_of

#: What stands for its class names, where names are asked for.
IMAGENET = "imagenet"


@cache
def imagenet_names() -> tuple[str, ...]:
    """Names of the classes in the order of their numbers, all different and without commas: those of torchvision."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


@cache
def wordnet_numbers() -> tuple[str, ...]:
    """WordNet numbers of the classes, such as n01440764, in their order; none where timm is not installed."""
    return tuple(number for number, _ in _wordnet())


def imagenet_of(word: str) -> frozenset[int]:
    """The numbers of the classes that a word may be: a name, a synonym, or a WordNet number; all that a name may be."""
    return frozenset().union(*(_by_word().get(each, ()) for each in words_of(word)))


def is_imagenet(names: Sequence[str]) -> bool:
    """Whether names are those of ImageNet's classes in their order, whoever wrote them."""
    return len(names) == len(imagenet_names()) and all(number in imagenet_of(name) for number, name in enumerate(names))


def proves_imagenet(words: Sequence[str]) -> bool:
    """Whether words can only be classes of ImageNet: all of them are WordNet numbers of its classes."""
    return bool(words) and set(words) <= set(wordnet_numbers())


@cache
def _wordnet() -> tuple[tuple[str, str], ...]:
    """Number and words of each class, such as n01440764 and "tench, Tinca tinca"; none where timm is not installed."""
    try:
        from timm.data.imagenet_info import ImageNetInfo
    except ImportError:
        return ()
    info = ImageNetInfo()
    numbers: list[str] = info.label_names()
    return tuple((number, info.label_name_to_description(number)) for number in numbers)


@cache
def _by_word() -> Mapping[str, set[int]]:
    """Classes by every word for them, written simply."""
    wordnet = _wordnet() or [()] * len(imagenet_names())
    classes: defaultdict[str, set[int]] = defaultdict(set)
    for number, (name, others) in enumerate(zip(imagenet_names(), wordnet, strict=True)):
        for word in set().union(*map(words_of, (name, *others))):
            classes[word].add(number)
    return dict(classes)

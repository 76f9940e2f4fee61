"""Groups of classes: several as one, whose probability is the sum of theirs."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

#: Names of classes that are merged, and the classes that each is made of.
Groups = Mapping[str, tuple[str, ...]]
#: Of each class, the numbers of the logits that are summed up to it.
Columns = tuple[tuple[int, ...], ...]
#: What is counted.
Item = TypeVar("Item")


def columns_of(classes: Sequence[str], terms: Sequence[str], groups: Groups) -> Columns:
    """Where the logits of each class stand among those of the `terms`: its own, and its members'."""
    at: dict[str, list[int]] = {}
    for place, name in enumerate(counted_as(terms, group_of(groups))):
        at.setdefault(name, []).append(place)
    return tuple(tuple(at[name]) for name in classes)


def merged(logits: "Tensor", columns: Columns) -> "Tensor":
    """One logit a class, batch x classes: softmax gives each the sum of its members' probabilities."""
    width = logits.shape[1]
    if columns == tuple((place,) for place in range(width)):
        return logits
    import torch

    several = [list(members) for members in columns if len(members) > 1]
    sums = [logits[:, members].logsumexp(1, keepdim=True) for members in several]
    behind = iter(range(len(several)))
    places = [members[0] if len(members) == 1 else width + next(behind) for members in columns]
    return torch.cat([logits, *sums], 1)[:, places]


def group_of(groups: Groups) -> dict[str, str]:
    """The group that each member is in."""
    return {member: name for name, members in groups.items() for member in members}


def grouped(names: Iterable[str], groups: Groups) -> tuple[tuple[str, ...], Columns]:
    """The classes that names come to in groups, in their order, and the columns of each among those of the names."""
    terms = tuple(names)
    classes = tuple(dict.fromkeys(counted_as(terms, group_of(groups))))
    return classes, columns_of(classes, terms, groups)


def counted_as(names: Iterable[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Names, each as it is counted."""
    return tuple(aliases.get(name, name) for name in names)


def left_of(groups: Groups, terms: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The groups without the members that are gone, and those that have none any more."""
    left = {name: tuple(member for member in members if member in terms) for name, members in groups.items()}
    return {name: members for name, members in left.items() if members}


def repeated(items: Iterable[Item]) -> list[Item]:
    """What is there more than once."""
    return [item for item, times in Counter(items).items() if times > 1]

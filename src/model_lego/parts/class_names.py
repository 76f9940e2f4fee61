"""Classes by name and by number."""

import difflib
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from model_lego.digest import digest_of
from model_lego.errors import BadConfig, EmptySelection, UnknownClass
from model_lego.parts.assembly import NONE_OF_THESE


def label_numbers(classes: Sequence[str | int], names: Sequence[str], *, owner: str = "source") -> tuple[int, ...]:
    """Classes given by name or number as label numbers; raises UnknownClass with the nearest names of the `owner`."""
    numbers = []
    for wanted in classes:
        if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(names):
            numbers.append(wanted)
        elif wanted in names:
            numbers.append(names.index(str(wanted)))
        else:
            near = difflib.get_close_matches(str(wanted), names, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else f"; it has {_listed(names)}"
            raise UnknownClass(f"the {owner} has no class '{wanted}'{hint}")
    if len(set(numbers)) < len(numbers):
        raise UnknownClass(f"a class is named twice in {list(classes)}")
    if not numbers:
        raise EmptySelection("no class was chosen; name at least one")
    return tuple(numbers)


def split_list(text: str) -> list[str]:
    """Comma-separated words, and ranges of numbers: "0-4,7"; raises BadConfig."""
    items: list[str] = []
    for item in filter(None, (word.strip() for word in text.split(","))):
        first, dash, last = item.partition("-")
        if dash and first.isdecimal() and last.isdecimal():
            if int(first) > int(last):
                raise BadConfig(f"'{item}' is no range of classes: it runs backwards")
            items += [str(number) for number in range(int(first), int(last) + 1)]
        else:
            items.append(item)
    if not items:
        raise BadConfig("no class is named; give some, separated by commas")
    return items


def source_names(model: nn.Module, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Names of the source's classes; unnamed ones are told apart by the source, so that they never clash."""
    if names is None:
        short = digest_of(model)[:6]
        return tuple(f"{label}@{short}" for label in range(count))
    if len(names) != count:
        raise UnknownClass(f"{len(names)} class names were given, but the network has {count} logits")
    if len(set(names)) < count:
        raise UnknownClass("two classes of the source have the same name; give each its own")
    return tuple(names)


def label_places(classes: Sequence[str], wanted: Sequence[int], names: Sequence[str]) -> list[int]:
    """Position in `classes` of each label number, as `names` names them; -1 for all but the `wanted` positions.

    Raises UnknownClass for a wanted class that the names do not have.
    """
    stay = {classes[place]: place for place in wanted}
    _check_named(stay, names, "the images have no class {}; class_names has to name it")
    return [stay.get(name, -1) for name in names]


def places_of(classes: Sequence[str], class_names: Sequence[str] | None) -> Tensor:
    """Position in `classes` of each label number; for other classes that of "none of these", -1 where there is none.

    Raises UnknownClass for a class that is not named.
    """
    known = classes if class_names is None else class_names
    _check_named(
        (name for name in classes if name != NONE_OF_THESE), known, "class_names do not name the part's class {}"
    )
    others = classes.index(NONE_OF_THESE) if NONE_OF_THESE in classes else -1
    return torch.tensor([classes.index(name) if name in classes else others for name in known])


def _check_named(classes: Iterable[str], names: Sequence[str], words: str) -> None:
    for name in classes:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UnknownClass(words.format(f"'{name}'") + hint)


def gone_places(classes: Sequence[str], rest: Sequence[int], names: Sequence[str]) -> list[int]:
    """For each label number: 0 for one of the `rest` (positions in `classes`), 1 and so on for the others of these.

    -1 for classes that are not among them.
    """
    gone = [name for place, name in enumerate(classes) if place not in rest]
    numbers = dict.fromkeys(classes, 0) | {name: number for number, name in enumerate(gone, 1)}
    return [numbers.get(name, -1) for name in names]


def _listed(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")

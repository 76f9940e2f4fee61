"""Classes by name and by number: whatever people call them is made names and label numbers here, and nowhere else."""

import csv
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.digest import digest_of
from model_lego.errors import BadConfig, EmptySelection, UnknownClass
from model_lego.parts.assembly import NONE_OF_THESE, Part, counted_by
from model_lego.parts.grouping import repeated

#: Names of all classes: in the order of their numbers, or a mapping from names to numbers or from numbers to names.
ClassNames = Sequence[str] | Mapping[str, int] | Mapping[int, str]
#: Some classes: names and label numbers, also of numpy and torch, or one text as a command line has it.
Classes = str | int | Iterable[str | int]
#: Classes in groups: by the name of each, the classes that it is made of.
GroupedClasses = Mapping[str, Classes]
#: A range of more classes than this is a slip.
LONGEST_RANGE = 100_000


def label_numbers(classes: Classes, names: Sequence[str], *, owner: str = "source") -> tuple[int, ...]:
    """Classes given by name or number as label numbers; raises UnknownClass with the nearest names of the `owner`."""
    numbers = tuple(_number(item, names, owner) for item in _items(classes, names))
    if twice := repeated(numbers):
        raise UnknownClass(f"a class is named twice: '{names[twice[0]]}'")
    if not numbers:
        raise EmptySelection("no class was chosen; name at least one")
    return numbers


def spelled(texts: Iterable[str], names: Sequence[str]) -> list[str | int]:
    """Classes as they are written on a command line: names, numbers and ranges of numbers, between commas.

    What is a name counts as it, the longest first: "0-2" where a class is called so, "tench, Tinca tinca" whole or
    among others; so do numbers. What stands in quotation marks is one word, as in csv files. Raises BadConfig.
    """
    known = {tuple(word.strip() for word in name.split(",")): name for name in names}
    known |= {(name,): name for name in names}
    items = [item for text in texts for item in ([text] if text in names else _read(text, known))]
    if not items:
        raise BadConfig("no class is named; give some, separated by commas")
    return items


def groups_of(given: GroupedClasses, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Groups of classes by the names of their members, given by name or number; raises UnknownClass, BadConfig."""
    groups: dict[str, tuple[str, ...]] = {}
    taken: dict[str, str] = {}
    for name, classes in given.items():
        members = tuple(names[number] for number in label_numbers(classes, names, owner="assembly"))
        if not isinstance(name, str) or not name or name == NONE_OF_THESE:
            raise BadConfig(f"group {name!r} of {', '.join(members)} is none: name it, not '{NONE_OF_THESE}'")
        if name in names and name not in members:
            raise BadConfig(f"group '{name}' has the name of a class that is not in it; name that class as a member")
        if twice := [member for member in members if member in taken]:
            raise BadConfig(f"class '{twice[0]}' is in two groups, '{taken[twice[0]]}' and '{name}'; leave it in one")
        groups[name] = members
        taken |= dict.fromkeys(members, name)
    return groups


def in_order(order: Classes | None, classes: Sequence[str]) -> tuple[str, ...]:
    """Classes in the order that was asked for, as they are by default; raises UnknownClass, BadConfig.

    The order has all of them; "none of these", which an assembly gets behind them, may be named as the last.
    """
    if order is None:
        return tuple(classes)
    items = _items(order, classes)
    ends = NONE_OF_THESE not in classes and items[-1:] == [NONE_OF_THESE]
    asked = tuple(classes[number] for number in label_numbers(items[:-1] if ends else items, classes))
    if left := [name for name in classes if name not in asked]:
        raise BadConfig(f"the order leaves out {', '.join(map(repr, left[:10]))}; it names all classes, each once")
    return asked


def names_for(part: Part, class_names: ClassNames | None) -> tuple[str, ...]:
    """What a part counts each label number as: the class of that name, or the group that it is in.

    By default label numbers are positions in its classes.
    """
    return part.classes if class_names is None else counted_by(part, names_of(class_names))


def spoken(classes: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    """Classes, each with what counts as it behind it."""
    members = {name: [each for each, told in aliases.items() if told == name] for name in set(aliases.values())}
    return [each for name in classes for each in (name, *members.get(name, ()))]


def names_of(given: ClassNames) -> tuple[str, ...]:
    """Names of classes in the order of their numbers; raises UnknownClass for what does not give each number a name."""
    plain = _plain(given)
    if isinstance(plain, str | set | frozenset) or not isinstance(plain, Iterable):
        raise UnknownClass(f"class names are a list in the order of their numbers, or a mapping, not {plain!r}")
    names = [_plain(name) for name in (_by_number(plain) if isinstance(plain, Mapping) else plain)]
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise UnknownClass(f"{wrong[0]!r} is no name of a class; names are text, '{wrong[0]}' for instance")
    return tuple(map(str, names))


def source_names(model: nn.Module, given: ClassNames | None, count: int) -> tuple[str, ...]:
    """Names of the source's classes; unnamed ones are told apart by the source, so that they never clash."""
    return unnamed(count, digest_of(model)[:6]) if given is None else fitting(given, count)


def unnamed(count: int, mark: str = "000000") -> tuple[str, ...]:
    """Names of classes that have none: their numbers, with a mark of six hexadecimal digits."""
    return tuple(f"{label}@{mark}" for label in range(count))


def fitting(given: ClassNames, count: int) -> tuple[str, ...]:
    """Names of so many classes, all different; raises UnknownClass."""
    names = names_of(given)
    if len(names) != count:
        raise UnknownClass(f"{len(names)} class names were given, but the network has {count} logits")
    if unnamed := [label for label, name in enumerate(names) if not name.strip()]:
        raise UnknownClass(f"class {unnamed[0]} of the source has an empty name; give it one")
    if twice := repeated(names):
        raise UnknownClass(f"two classes of the source have the same name, '{twice[0]}'; give each its own")
    return names


def _items(classes: Classes, names: Sequence[str]) -> list[Any]:
    """The classes that are meant, one by one, as Python's own values."""
    given = _plain(classes)
    if isinstance(given, str):
        return spelled([given], names)
    if isinstance(given, set | frozenset):
        raise BadConfig("a set of classes has no order, and logits have one; give a list")
    return [_plain(item) for item in given] if isinstance(given, Iterable) else [given]


def _number(wanted: object, names: Sequence[str], owner: str) -> int:
    if isinstance(wanted, bool) or not isinstance(wanted, int | str):
        raise UnknownClass(f"the {owner} has no class '{wanted}'; give names, or label numbers as integers")
    if wanted in names:
        return names.index(str(wanted))
    if isinstance(wanted, int) and 0 <= wanted < len(names):
        return wanted
    near = difflib.get_close_matches(str(wanted), names, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near and not _unnamed(names) else f"; it has {_listed(names)}"
    raise UnknownClass(f"the {owner} has no class '{wanted}'{hint}")


def _read(text: str, known: Mapping[tuple[str, ...], str]) -> list[str | int]:
    """The classes of one text, by the names of those that are known, cut at their commas."""
    try:
        words = [word.strip() for row in csv.reader([text], skipinitialspace=True) for word in row]
    except csv.Error as error:
        raise BadConfig(f"classes {text!r} cannot be read: {error}") from error
    items: list[str | int] = []
    longest = max(map(len, known), default=1)
    while words:
        runs = (tuple(words[:length]) for length in range(min(longest, len(words)), 0, -1))
        run = next((run for run in runs if run in known), None)
        if run is not None:
            items.append(known[run])
        elif words[0]:
            items += [known.get((str(item),), item) for item in _counted(words[0])]
        del words[: len(run or words[:1])]
    return items


def _counted(word: str) -> Sequence[str | int]:
    """The numbers that a word stands for, one or a range, or the word itself."""
    first, dash, last = (each.strip() for each in word.partition("-"))
    if not dash:
        return [int(word) if word.isdecimal() and len(word) < 10 else word]
    if not (first.isdecimal() and last.isdecimal()):
        return [word]
    if max(len(first), len(last)) > 9 or int(last) - int(first) >= LONGEST_RANGE:
        raise BadConfig(f"'{word}' is a range of more than {LONGEST_RANGE:,} classes; no network has so many")
    if int(first) > int(last):
        raise BadConfig(f"'{word}' is no range of classes: it runs backwards")
    return range(int(first), int(last) + 1)


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy and torch as Python's own; all else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _by_number(given: Mapping[Any, Any]) -> list[str]:
    """Names in the order of the numbers that a mapping gives them, or is keyed by."""
    found: dict[int, str] = {}
    seen: set[str] = set()
    for key, value in ((_plain(key), _plain(value)) for key, value in given.items()):
        number, name = (value, key) if isinstance(key, str) else (key, value)
        if isinstance(number, bool) or not (isinstance(number, int) and isinstance(name, str)):
            raise UnknownClass(f"class names map a name to a number, or a number to a name, not {key!r} to {value!r}")
        if number in found:
            raise UnknownClass(f"classes '{found[number]}' and '{name}' have the same number, {number}")
        if name in seen:
            raise UnknownClass(f"class '{name}' has two numbers; give each class its own name")
        found[number] = name
        seen.add(name)
    for number in range(len(found)):
        if number not in found:
            least, most = min(found), max(found)
            raise UnknownClass(
                f"no class has the number {number}, but '{found[least]}' has {least} and '{found[most]}' has {most}; "
                "numbers go from 0 without a gap"
            )
    return [found[number] for number in range(len(found))]


def label_places(classes: Sequence[str], wanted: Sequence[int], names: Sequence[str]) -> list[int]:
    """Position in `classes` of each label number, as `names` names them; -1 for all but the `wanted` positions.

    Raises UnknownClass for a wanted class that the names do not have.
    """
    stay = {classes[place]: place for place in wanted}
    _check_named(stay, names, "the images have no class {}; class_names has to name it")
    return [stay.get(name, -1) for name in names]


def places_of(classes: Sequence[str], class_names: ClassNames | None, *, rejecting: bool = False) -> Tensor:
    """Position in `classes` of each label number; -1 for other classes, of `rejecting` ones the last, "none of these".

    Raises UnknownClass for a class that is not named.
    """
    known = classes if class_names is None else names_of(class_names)
    _check_named(classes[:-1] if rejecting else classes, known, "class_names do not name the part's class {}")
    others = len(classes) - 1 if rejecting else -1
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


def _unnamed(names: Sequence[str]) -> bool:
    """Whether these are the names that `source_names` gives to classes without any."""
    return bool(names) and all(re.fullmatch(f"{label}@[0-9a-f]{{6}}", name) for label, name in enumerate(names))


def _listed(names: Sequence[str], most: int = 10) -> str:
    if _unnamed(names):
        return f"classes 0 to {len(names) - 1}, which have no names"
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")

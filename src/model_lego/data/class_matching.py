"""Which classes of a network the classes of data are: by name, synonym, WordNet number, index, or a class map."""

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from model_lego.data.class_maps import ClassMap, Entry, read_class_map
from model_lego.data.class_words import is_wordnet_number, simple, words_of
from model_lego.data.imagenet import imagenet_of, is_imagenet, wordnet_numbers
from model_lego.errors import UnknownClass

#: A word or a number of a class.
Key = TypeVar("Key", str, int)
#: No label number has more digits.
DIGITS = 9
#: No more classes without images are named.
FEW = 3
#: So many pairs of a folder and its class are shown.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Matching:
    """Classes by name, the place of each class of data among them (-1: left out), and what has to be said of it."""

    names: tuple[str, ...]
    places: tuple[int, ...]
    notes: tuple[str, ...] = ()


def match_classes(
    words: Sequence[str],
    names: Sequence[str],
    *,
    class_map: ClassMap | None = None,
    sources: Sequence[Sequence[str]] | None = None,
    more: bool = False,
) -> Matching:
    """Find the class among `names` that each of the `words` is, the classes of data.

    A word is a name, also with other case, spaces, underscores and hyphens, or a synonym in one ("tench" of "tench,
    Tinca tinca"), the WordNet number of a class of ImageNet, or a number. A `class_map` goes before all that. Numbers
    are those of the networks that the names are of, all of whose classes are `sources`, by default the names
    themselves; a name that no source has has none. Words that are no class are left out where each class has a word;
    with `more` they are further classes.

    Raises UnknownClass with all words that are no class, may be several, or are one class; BadConfig.
    """
    entries = {entry.folder: entry for entry in (() if class_map is None else read_class_map(class_map))}
    known = _known(names, sources or (names,))
    found = {word: known.classes_of(entries[word].word if word in entries else word) for word in words}
    _settle(found, entries)
    missing = [name for name in names if not any(name in classes for classes in found.values())]
    own = {word: classes for word, classes in found.items() if word not in entries}
    wrong = known.wrong_in(entries.values()) + _wrong(own, names, known, strict=bool(missing) and not more)
    if wrong:
        lacking = f" (without images: {', '.join(missing)})" if 0 < len(missing) <= FEW else ""
        raise UnknownClass(
            f"the data's classes do not fit the network's{lacking}: "
            f"{'; '.join([*wrong, *_strange(entries, found)])}. Say in a class_map which class "
            "each is, by its name, number or WordNet number, or nothing to leave it out"
        )
    if len(missing) == len(names):
        raise UnknownClass(f"the data has none of the classes {some(names, 5)}; it has {some(words, 5)}")
    class_of = {word: next(iter(classes & set(names)), None) for word, classes in found.items()}
    notes = _notes(class_of, names, entries, known)
    others = _others(class_of, found, entries) if more else {}
    every = tuple(dict.fromkeys((*names, *others.values())))
    place = {name: number for number, name in enumerate(every)} | {None: -1}
    return Matching(every, tuple(place[class_of[word] or others.get(word)] for word in words), notes)


def classes_called(word: str, names: Sequence[str]) -> tuple[str, ...]:
    """The classes among names that a word may be, read as in `match_classes`."""
    return tuple(sorted(_Known([_Network(tuple(names))]).classes_of(word)))


class _Network:
    """The classes of a network in their order, and what each is called; others than a source's have no numbers."""

    def __init__(self, classes: tuple[str, ...], *, source: bool = True) -> None:
        self.classes, self.imagenet, self.source = classes, is_imagenet(classes), source

    @cached_property
    def alike(self) -> Mapping[str, set[str]]:
        """Classes by their whole names, written simply."""
        return _grouped((simple(name), name) for name in self.classes)

    @cached_property
    def synonyms(self) -> Mapping[str, set[str]]:
        """Classes by each of the words between the commas of their names."""
        return _grouped((word, name) for name in self.classes for word in words_of(name))

    @cached_property
    def meanings(self) -> Mapping[int, set[str]]:
        """Classes by the numbers of those of ImageNet that they are, or may be."""
        if self.imagenet:
            return {number: {name} for number, name in enumerate(self.classes)}
        return _grouped((number, name) for name in self.classes for number in imagenet_of(name))

    def meant_by(self, word: str) -> set[str]:
        """The classes that a word may be by what WordNet calls ImageNet's classes."""
        return set().union(*(self.meanings.get(number, ()) for number in imagenet_of(word)))

    def numbered(self, word: str) -> set[str]:
        """The class of a number, unless numbers are names of other classes: a network of the digits 5 to 9."""
        if not word.isdecimal() or len(word) > DIGITS or not self.counted:
            return set()
        return set(self.classes[int(word) : int(word) + 1])

    @cached_property
    def counted(self) -> bool:
        """Whether classes have numbers, and none is called by that of another."""
        return self.source and all(name == str(number) for number, name in enumerate(self.classes) if name.isdecimal())

    def called(self, name: str) -> str:
        """A class with what tells it from others."""
        number = self.classes.index(name)
        marks = [str(number), *wordnet_numbers()[number : number + 1]] if self.imagenet else [str(number)]
        return f"{name} ({', '.join(marks)})"


class _Known:
    """The classes of some networks."""

    def __init__(self, networks: Sequence[_Network]) -> None:
        self.networks = networks

    def classes_of(self, word: str | None) -> set[str]:
        """The classes that a word may be; none for None."""
        if word is None:
            return set()
        found = (
            self._all(each.alike.get(simple(word), set()) & {word} for each in self.networks)
            or self._all(each.alike.get(simple(word), set()) for each in self.networks)
            or self._all(each.synonyms.get(simple(word), set()) for each in self.networks)
        )
        found |= self._all(each.meant_by(word) for each in self.networks if each.imagenet or not found)
        return found or self._all(each.numbered(word) for each in self.networks)

    def wrong_in(self, entries: Iterable[Entry]) -> list[str]:
        """What is wrong with the entries of a class map: words that are no class, or may be several."""
        asked = [(entry, self.classes_of(entry.word)) for entry in entries if entry.word is not None]
        wrong = [(entry, self.none(str(entry.word))) for entry, classes in asked if not classes]
        wrong += [(entry, self.several(str(entry.word), classes)) for entry, classes in asked if len(classes) > 1]
        return [f"{entry.where}: {words}, for '{entry.folder}'" for entry, words in wrong]

    def several(self, word: str, classes: Iterable[str]) -> str:
        """The words for one that may be several classes."""
        return f"'{word}' may be {' or '.join(self.called(name) for name in sorted(classes))}"

    def none(self, word: str) -> str:
        """The words for one that is no class, with the nearest."""
        if is_wordnet_number(word) and not wordnet_numbers():
            return f"'{word}' is a WordNet number, whose class timm knows: pip install model-lego[timm]"
        spelled = {key: name for each in self.networks for key, names in each.synonyms.items() for name in names}
        near = [spelled[key] for each in words_of(word) for key in difflib.get_close_matches(each, spelled, n=3)]
        return f"'{word}' is no class of the network" + (f" (near: {', '.join(dict.fromkeys(near))})" if near else "")

    def called(self, name: str) -> str:
        """A class with what tells it from others."""
        return next(each.called(name) for each in self.networks if name in each.classes)

    @staticmethod
    def _all(some: Iterable[set[str]]) -> set[str]:
        return set().union(*some)


def _known(names: Sequence[str], sources: Sequence[Sequence[str]]) -> _Known:
    """The classes of all sources, and names that none of these has: groups of classes, numbers of parts."""
    own = tuple(name for name in names if not any(name in classes for classes in sources))
    networks = [_Network(tuple(classes)) for classes in sources]
    return _Known([*networks, _Network(own, source=False)] if own else networks)


def _grouped(pairs: Iterable[tuple[Key, str]]) -> Mapping[Key, set[str]]:
    groups: defaultdict[Key, set[str]] = defaultdict(set)
    for key, name in pairs:
        groups[key].add(name)
    return groups


def _settle(found: dict[str, set[str]], entries: Mapping[str, Entry]) -> None:
    """Of several classes that a word may be, those go that other words are: "crane" beside "crane bird" is no bird."""
    open_words = [word for word, classes in found.items() if len(classes) > 1 and word not in entries]
    for _ in open_words:
        taken = set().union(*(classes for classes in found.values() if len(classes) == 1))
        for word in open_words:
            if len(found[word]) > 1:
                found[word] = (found[word] - taken) or found[word]


def _others(
    class_of: Mapping[str, str | None], found: Mapping[str, set[str]], entries: Mapping[str, Entry]
) -> Mapping[str, str]:
    """What words for none of the names are called: the other class of the network that they are, or as they are."""
    there = [word for word, name in class_of.items() if name is None]
    kept = [word for word in there if word not in entries or entries[word].word is not None]
    return {word: next(iter(found[word])) if len(found[word]) == 1 else word for word in kept}


def _wrong(found: Mapping[str, set[str]], names: Sequence[str], known: _Known, *, strict: bool) -> list[str]:
    """Words that may be several of the names, that are one class, and, where it is `strict`, that are none."""
    several = [word for word, classes in found.items() if len(classes) > 1 and classes & set(names)]
    none = [word for word, classes in found.items() if not classes] if strict else []
    doubtful = [known.several(word, found[word]) for word in several]
    return doubtful + _claimed_twice(found, names) + [known.none(word) for word in none]


def _claimed_twice(found: Mapping[str, set[str]], names: Sequence[str]) -> list[str]:
    """Words that are one class, though nobody said so."""
    words = _grouped((next(iter(classes)), word) for word, classes in found.items() if len(classes) == 1)
    return [
        f"{' and '.join(repr(word) for word in sorted(same))} are one class, {name}"
        for name, same in words.items()
        if len(same) > 1 and name in names
    ]


def _notes(
    class_of: Mapping[str, str | None], names: Sequence[str], entries: Mapping[str, Entry], known: _Known
) -> tuple[str, ...]:
    """What has to be said: that data has some classes alone, words that are no names, and what a map leaves out."""
    there = {name for name in class_of.values() if name is not None}
    told = [f"'{word}' is {known.called(name)}" for word, name in class_of.items() if name not in (None, word)]
    notes = []
    if told or len(there) < len(names):
        notes.append(f"the data has {len(there)} of the {len(names)} classes" + (f": {some(told)}" if told else ""))
    if out := [entry.folder for entry in entries.values() if entry.word is None and entry.folder in class_of]:
        notes.append(f"left out, as the class map says: {some(out)}")
    return (*notes, *_strange(entries, class_of))


def _strange(entries: Mapping[str, Entry], words: Collection[str]) -> tuple[str, ...]:
    """What has to be said of a class map that tells of other data, too; it may, but a word may also be misspelled."""
    strange = [folder for folder in entries if folder not in words]
    return (f"the class map has what the data does not have: {some(strange)}",) if strange else ()


def some(words: Sequence[str], most: int = SHOWN) -> str:
    """The first of some words, and how many there are where that is not all of them."""
    return ", ".join(words[:most]) + (f" … ({len(words)} in all)" if len(words) > most else "")

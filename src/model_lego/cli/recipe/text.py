"""YAML as plain values with the line of each, and all that is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

#: What a recipe needs: one of a hundred steps has 20 kB, and nothing in it lies deeper than a list of groups.
MAX_BYTES, DEEPEST = 200_000, 10
#: Steps from the whole to a value in it.
Place = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
#: What YAML makes of plain words; all else is text.
_PLAIN = ("int", "float", "bool", "null")
_TEXT = ("str", "timestamp", "merge", "value")
_WORDS = yaml.constructor.SafeConstructor()
#: The reader in C, twenty times as fast, where it is there.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and where: the line, and the key with those that it lies in."""

    line: int
    key: str
    what: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}" if self.key else self.what


@dataclass(frozen=True, slots=True)
class Written:
    """The values of a text, the line of each by its place, and what could not be taken."""

    values: Any
    lines: Mapping[Place, int]
    wrong: tuple[Complaint, ...]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest that it lies in."""
        return next((self.lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self.lines), 1)


def read_yaml(text: str) -> Written:
    """Read a text; keys are texts. What cannot be taken is in `wrong`, and nothing is raised."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return _nothing(1, f"it has more than {MAX_BYTES:,} bytes, and no recipe needs as many")
    try:
        if refused := _refused(text):
            return _nothing(*refused)
        root = yaml.compose(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        return _nothing(mark.line + 1 if mark else 1, f"that is no YAML: {getattr(error, 'problem', None) or error}")
    if root is None:
        return _nothing(1, "it is empty")
    lines: dict[Place, int] = {(): root.start_mark.line + 1}
    wrong: list[Complaint] = []
    values = _value(root, (), lines, wrong)
    return Written(values, lines, tuple(wrong))


def dotted(place: Place) -> str:
    """A place as people write it: steps.both.layout; items are counted from 1."""
    return ".".join(str(step + 1) if isinstance(step, int) else step for step in place)


def _nothing(line: int, what: str) -> Written:
    return Written(None, {}, (Complaint(line, "", what),))


def _refused(text: str) -> tuple[int, str] | None:
    """The line of the first thing that would take more than its bytes, and what it is."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            return line, f"references (&{anchor}, *{anchor}) are not read; write it out, or under `common`"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return line, f"it lies deeper than {DEEPEST} lists or mappings"
    return None


def _value(node: yaml.Node, place: Place, lines: dict[Place, int], wrong: list[Complaint]) -> Any:
    kind = node.tag.removeprefix(_TAG)
    if not isinstance(node, yaml.ScalarNode) and kind not in ("map", "seq"):
        wrong.append(Complaint(node.start_mark.line + 1, dotted(place), f"the tag {node.tag} is not read"))
    if isinstance(node, yaml.MappingNode):
        return dict(_items(node, place, lines, wrong))
    if isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            lines[(*place, number)] = each.start_mark.line + 1
        return [_value(each, (*place, number), lines, wrong) for number, each in enumerate(node.value)]
    if kind in _TEXT or (kind in _PLAIN and ":" in node.value):  # 1:30 is no number of seconds
        return node.value
    try:
        if kind in _PLAIN:
            return _WORDS.construct_object(node)
        what = f"the tag {node.tag} is not read"
    except (ValueError, KeyError, yaml.YAMLError):
        what = f"'{node.value[:40]}' is no value of {kind}"
    wrong.append(Complaint(node.start_mark.line + 1, dotted(place), what))
    return None


def _items(
    node: yaml.MappingNode, place: Place, lines: dict[Place, int], wrong: list[Complaint]
) -> Iterator[tuple[str, Any]]:
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            wrong.append(Complaint(line, dotted(place), "a key is a word, no list or mapping"))
            continue
        here = (*place, key.value)
        if here in lines:
            wrong.append(Complaint(line, dotted(here), f"it is there already, in line {lines[here]}"))
            continue
        lines[here] = line
        yield key.value, _value(value, here, lines, wrong)

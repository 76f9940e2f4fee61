"""A recipe as a noun, read from a file or a saved part, with everything that is wrong in it at once."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from model_lego.cli.recipe import steps
from model_lego.cli.recipe.steps import Made
from model_lego.cli.recipe.text import Complaint, Place, Written, dotted, read_yaml
from model_lego.errors import BadConfig

#: How many words are listed where none of them is near.
LISTED = 12


class Mistakes(BadConfig):
    """A recipe cannot be made: all that is wrong with it, each with its line and key."""

    def __init__(self, file: str, complaints: Iterable[Complaint]) -> None:
        found = {(each.line, str(each)): each for each in complaints}
        self.lines = [f"{file}:{line}: {words}" for line, words in sorted(found)]
        super().__init__("; ".join(self.lines))


@dataclass(frozen=True, slots=True)
class Step:
    """A command with its options, as the command takes them; those that name a step above, and what it is called."""

    name: str
    command: str
    options: Mapping[str, Any]

    @property
    def gives(self) -> str:
        """What those that name it get."""
        return steps.COMMANDS[self.command][1]

    def refers(self, known: Iterable[str]) -> tuple[str, ...]:
        """The steps that it names, of those that are known."""
        named = [word for option in steps.TAKES for word in words_of(self.options.get(option))]
        return tuple(dict.fromkeys(word for word in named if word in known))


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in their order, the one whose part is the result, and what that was made with, where it was made."""

    steps: tuple[Step, ...]
    result: str
    made: Made = field(default_factory=Made)

    def step(self, name: str) -> Step:
        """The step of a name; raises BadConfig."""
        for each in self.steps:
            if each.name == name:
                return each
        raise BadConfig(f"the recipe has no step '{name}'{near(name, [each.name for each in self.steps])}")

    def only(self, name: str) -> "Recipe":
        """The part of it that leads to a step; raises BadConfig where there is none, or none that gives a part."""
        if self.step(name).gives != steps.PART:
            raise BadConfig(f"step '{name}' gives no part; name one that does")
        needed = {name}
        for each in reversed(self.steps):
            if each.name in needed:
                needed |= set(each.refers(each.name for each in self.steps))
        return Recipe(tuple(each for each in self.steps if each.name in needed), name, self.made)


def read_recipe(text: str, file: str, *, only_read: bool = False) -> Recipe:
    """Read a recipe; `file` names it in messages. One that is `only_read` may name files that are not here.

    Raises Mistakes.
    """
    written = read_yaml(text)
    complaints = list(written.wrong)
    if not isinstance(written.values, dict):
        raise Mistakes(file, complaints or [Complaint(written.line(()), "", "a recipe is a mapping with `steps`")])
    whole = _spread(written.values)
    made = None
    try:
        made = steps.recipe_model().model_validate(whole)
    except ValidationError as error:
        complaints += _complaints(error, written)
    complaints += _wrong_names(whole, written, only_read=only_read)
    if complaints or made is None:
        raise Mistakes(file, complaints)
    given: Any = made
    found = tuple(_step(name, options) for name, options in given.steps.items())
    return Recipe(found, given.result or _last(found), given.made or Made())


def words_of(value: Any) -> list[str]:
    """The texts of an option, of which there may be one, several or none."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def near(word: str, known: Sequence[str]) -> str:
    """The end of a message: the nearest of the words that are known, or all of them where they are few."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if found:
        return f"; did you mean {found[0]}?"
    return f"; use one of {', '.join(known)}" if known and len(known) <= LISTED else ""


def _step(name: str, options: Any) -> Step:
    given = options.model_dump(exclude_unset=True)
    return Step(name, given.pop("command"), given)


def _last(found: Sequence[Step]) -> str:
    """The last step that gives a part, else the last of all."""
    return next((each.name for each in reversed(found) if each.gives == steps.PART), found[-1].name)


def _spread(values: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with what is common in each step that takes it and does not say its own."""
    common, given = values.get("common"), values.get("steps")
    if not isinstance(common, dict) or not isinstance(given, dict):
        return dict(values)
    known = {name: value for name, value in common.items() if name in steps.SHARED}
    return {**values, "steps": {name: _with(known, step) for name, step in given.items()}}


def _with(common: Mapping[str, Any], step: Any) -> Any:
    if not _is_known(step):
        return step
    keys = steps.keys_of(step["command"])
    return {name: value for name, value in common.items() if name in keys} | step


def _complaints(error: ValidationError, written: Written) -> Iterator[Complaint]:
    """What pydantic found, in words, each at the line of its key."""
    for one in error.errors(include_url=False):
        place: Place = one["loc"]
        if place[:1] == ("steps",) and len(place) > 2:  # the third is the command by which the model was chosen
            place = (*place[:2], *place[3:])
        if one["type"] != "missing" and place not in written.lines and place[:1] == ("steps",) and len(place) > 2:
            place = ("common", *place[2:])
        place = tuple(step for step in place if step != "[key]")
        if one["type"] == "union_tag_invalid":
            place = (*place, "command")
        yield Complaint(written.line(place), dotted(place), _words(one, place, written))


def _words(one: Any, place: Place, written: Written) -> str:
    kind, given, context = one["type"], one["input"], one.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"there is no such key{near(str(place[-1]), _keys(place, written))}"
    if kind == "union_tag_not_found":
        return f"it has no command; use one of {', '.join(steps.COMMANDS)}"
    if kind == "union_tag_invalid":
        return f"'{given.get('command')}' is no command of a recipe{near(str(given.get('command')), [*steps.COMMANDS])}"
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{_short(given)} is unknown{near(str(given), allowed)}"
    if kind == "string_pattern_mismatch":
        return f"{_short(given)} is no name; use letters from a to z, digits, dots, underscores and hyphens"
    if kind == "value_error":
        return str(context["error"]).removeprefix("--budget ")
    return f"{one['msg'].replace('Input should be', 'has to be', 1)}, not {_short(given)}"


def _keys(place: Place, written: Written) -> list[str]:
    """The keys that can stand beside one."""
    if place[:1] == ("steps",) and len(place) > 2:
        return list(steps.keys_of(written.values["steps"][place[1]]["command"]))
    if place[:1] == ("common",):
        return list(steps.SHARED)
    return list((Made if place[:1] == ("made",) and len(place) > 1 else steps.recipe_model()).model_fields)


def _short(value: Any) -> str:
    text = f"'{value}'" if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _wrong_names(whole: Mapping[str, Any], written: Written, *, only_read: bool) -> Iterator[Complaint]:
    """Steps and files that are named and are not there, or give something else than what is wanted of them."""
    given = whole.get("steps")
    if not isinstance(given, dict):
        return
    gives = {name: steps.COMMANDS[step["command"]][1] for name, step in given.items() if _is_known(step)}
    exists = _anything if only_read else _exists
    result = whole.get("result")
    if isinstance(result, str) and gives.get(result) != steps.PART:
        what = "gives no part" if result in given else f"is no step{near(result, [*gives])}"
        yield Complaint(written.line(("result",)), "result", f"'{result}' {what}")
    above: list[str] = []
    for name in given:
        if name in gives:
            for option, value in given[name].items():
                yield from _wrong_words(
                    ("steps", name, option), value, partial(_wrong_word, above, gives, exists), written
                )
        above.append(name)


def _wrong_words(
    place: Place, value: Any, wrong_word: Callable[[str, str], str], written: Written
) -> Iterator[Complaint]:
    """What is wrong with the words of an option that names steps, files or folders."""
    option = str(place[-1])
    if option not in steps.keys_of(written.values["steps"][place[1]]["command"]):
        return
    shown = place if place in written.lines else ("common", option)
    for number, word in enumerate(words_of(value) if option in steps.PATHS else ()):
        if what := wrong_word(option, word):
            inner = (*shown, number) if isinstance(value, list) else shown
            yield Complaint(written.line(inner), dotted(inner), what)


def _wrong_word(
    above: Sequence[str], gives: Mapping[str, str], exists: Callable[[str], bool], option: str, word: str
) -> str:
    """What is wrong with a word of an option, nothing where it is a step above that fits, or a file that `exists`."""
    takes = steps.TAKES.get(option)
    if takes and word in gives:
        if word not in above:
            return f"step '{word}' is not above this one; a step names those above it"
        return "" if gives[word] == takes else f"step '{word}' gives {gives[word]}, and here {takes} is needed"
    if ":" in word or (option == "data" and word == "digits") or exists(word):
        return ""
    fitting = [name for name in above if takes and gives.get(name) == takes]
    what = "is no step above, no file and no folder" if takes else "is no file and no folder"
    return f"'{word}' {what}{near(word, fitting) if fitting else ''}"


def _is_known(step: Any) -> bool:
    """Whether a step is one, with a command that there is."""
    command = step.get("command") if isinstance(step, dict) else None
    return isinstance(command, str) and command in steps.COMMANDS


def _anything(_: str) -> bool:
    return True


def _exists(word: str) -> bool:
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False

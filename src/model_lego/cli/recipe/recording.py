"""The recipe beside every part that a command writes: what was asked for, and what made the parts that it took."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from model_lego.cli.provenance import signed
from model_lego.cli.recipe import steps
from model_lego.cli.recipe.asking import asked
from model_lego.cli.recipe.circumstances import files_of, here
from model_lego.cli.recipe.reading import Recipe, Step, read_recipe, words_of
from model_lego.cli.recipe.text import MAX_BYTES
from model_lego.errors import BadConfig
from model_lego.names.bin_names import manifest_digest
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.provenance import UNSAID, Provenance
from model_lego.store.files import RECIPE, RECIPE_MARK, is_plain_file
from model_lego.store.located import located
from model_lego.store.saving import save

#: What the step of a command is called in its own recipe; in those of others it is called as its folder.
OWN = "part"
#: Bytes of a folder up to which a command says in a recipe what was in it; more take longer than many a command.
MOST = 4 * 2**30


def save_made(
    part: Component | Assembly, out: str, *data: str | None, source: Provenance = UNSAID, overwrite: bool
) -> Path:
    """Save what a command has made of a `source` with some `data`, signed, its recipe beside it; raises as `save`."""
    told = asked()
    recipe = None
    if told is not None and told[0] in steps.COMMANDS:
        recipe = text_of(_recipe_of(*told))
    return save(signed(part, *data, source=source), out, overwrite=overwrite, recipe=recipe)


def text_of(recipe: Recipe) -> str:
    """A recipe as a text, from which it is read again."""
    plain: dict[str, Any] = {
        "steps": {step.name: {"command": step.command, **step.options} for step in recipe.steps},
        "result": recipe.result,
    }
    made = recipe.made.model_dump(exclude_none=True)
    plain["made"] = {name: value for name, value in made.items() if value}
    apart = json.loads(json.dumps(plain))  # YAML would write what is there twice as a reference
    return str(yaml.safe_dump(apart, sort_keys=False, allow_unicode=True, width=110))


def recipe_of(part: str, *, only_read: bool = True) -> Recipe:
    """The recipe beside a saved part, with the digest of what it made.

    Raises BadConfig, CorruptComponent, and Mistakes, unless it is `only_read` also for files that are not here.
    """
    folder = located(part, weights=False)
    if not folder.is_dir():
        raise BadConfig(f"'{part}' is no folder of a saved part")
    digest = manifest_digest(folder)
    if not is_plain_file(folder / RECIPE):
        raise BadConfig(
            f"'{part}' has no {RECIPE}: commands that make a part write one beside it, but for the demo; what Python "
            "or an earlier version saved has none"
        )
    with (folder / RECIPE).open("rb") as file:
        data = file.read(MAX_BYTES + len(RECIPE_MARK) + 1)
    found = read_recipe(data.decode("utf-8", "replace"), str(folder / RECIPE), only_read=only_read)
    return replace(found, made=found.made.model_copy(update={"result": digest}))


def _recipe_of(command: str, options: Mapping[str, Any]) -> Recipe:
    """What a command was asked for, behind the steps that made the parts that it took."""
    usual = steps.defaults_of(command)
    keys = steps.keys_of(command)
    given = {key: value for key, value in options.items() if key in keys and value != usual.get(key, ...)}
    known: dict[str, Step] = {}
    files: dict[str, str] = {}
    taken = {word for option in steps.PATHS for word in words_of(given.get(option))}
    called = {}
    for word in sorted(taken, key=list(_words(given)).index):
        before = _beside(word)
        if before is not None:
            called[word] = _taken_in(before, located(word).resolve().name, known, taken)
            files |= before.made.files
    own = Step(_free(OWN, {*known, *taken}), command, _with_names(given, called))
    files |= files_of(own, known, most=MOST)
    made = here().model_copy(update={"files": files})
    return Recipe((*known.values(), own), own.name, made)


def _words(options: Mapping[str, Any]) -> Iterable[str]:
    return (word for value in options.values() for word in words_of(value))


def _beside(word: str) -> Recipe | None:
    """The recipe of a part in a folder; one of bin or Hub stays what it is, for its name is one part for ever."""
    if ":" in word or not Path(word, RECIPE).is_file():
        return None
    try:
        return recipe_of(word)
    except (BadConfig, ValueError, OSError):  # then it is a folder like one without a recipe
        return None


def _taken_in(recipe: Recipe, name: str, known: dict[str, Step], taken: Collection[str]) -> str:
    """Put the steps of a recipe among those that are known, each once; what its result, by `name`, is called there."""
    called: dict[str, str] = {}
    for step in recipe.steps:
        options = _with_names(step.options, called)
        same = [name for name, each in known.items() if (each.command, each.options) == (step.command, options)]
        called[step.name] = (
            same[0] if same else _free(name if step.name == recipe.result else step.name, {*known, *taken})
        )
        known.setdefault(called[step.name], Step(called[step.name], step.command, options))
    return called[recipe.result]


def _with_names(options: Mapping[str, Any], called: Mapping[str, str]) -> dict[str, Any]:
    """Options whose words for steps are what these are called."""
    return {
        option: value if option not in steps.TAKES else _renamed(value, called) for option, value in options.items()
    }


def _renamed(value: Any, called: Mapping[str, str]) -> Any:
    return [called.get(each, each) for each in value] if isinstance(value, list) else called.get(value, value)


def _free(name: str, used: Collection[str]) -> str:
    """A name for a step that is like one that is given, and no other's."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:56] or "part"
    found, number = plain, 2
    while found in used:
        found, number = f"{plain}-{number}", number + 1
    return found

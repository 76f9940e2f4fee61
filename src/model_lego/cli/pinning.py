"""Parts on the Hub that a command line or a recipe names: each is its commit from then on. No torch is needed here."""

from collections.abc import Callable, Mapping
from typing import Any

from model_lego.cli.render import say
from model_lego.names.hub_names import is_on_hub

#: Options that can name a part.
PARTS = frozenset(
    (
        *("model", "part", "parts", "component", "assembly", "new", "teacher", "student", "source"),
        *("folder", "one", "other", "recipe"),
    )
)


def with_commits(options: Mapping[str, Any], pin: Callable[[str], str] | None = None) -> dict[str, Any]:
    """Options with `hub:USER/NAME@COMMIT` for each part on the Hub, by `pin`: by default the Hub is asked.

    So nothing that a branch becomes while a command runs gets into it, and recipes name what was taken.
    Raises LegoError.
    """
    asked = pin or _asked
    return {name: _pinned(value, asked) if name in PARTS else value for name, value in options.items()}


def known_commit(word: str) -> str:
    """A part on the Hub with the commit that its cache has of it, else as it is named. Nothing connects."""
    from model_lego.store.hub_parts import in_cache

    return str(in_cache(word) or word)


def _pinned(value: Any, pin: Callable[[str], str]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_pinned(each, pin) for each in value)
    return pin(value) if isinstance(value, str) and is_on_hub(value) else value


def _asked(word: str) -> str:
    from model_lego.store.hub_parts import pinned

    found = str(pinned(word))
    if found != word:
        say(f"note: {word} is {found}")
    return found

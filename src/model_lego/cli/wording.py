"""Messages of the library in the words of the command line: what is an argument in Python is an option here."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from typer.models import OptionInfo

#: Words of Python that have others here, whatever the command; the first that fits counts.
PHRASES: Mapping[str, str] = {
    r"`outsiders` gives": "--outsiders gives",
    r"pass overwrite=True": "give --overwrite",
    r"pass factory=, .* network, or model=": "give --model ",
    r"in arguments=\{…\}": "by -a key=value",
    r"give the source or factory=": "give --source and --data",
    r"give calibration=": "give --data",
    r"give a preprocessing": "give --mean and --std",
    r"Preprocessing\(size=N\)": "--size N",
    r"class_names has to name (it|the label numbers)": "the data has to have it under this name",
    r"class_names do not name": "the data does not have",
    r"leave class_names out": "leave their names out",
    r"\(classes=\)": "(--source-classes)",
    r"`diagnose`": "`model-lego doctor`",
    r"`(assemble|attribute|compress|disassemble|distill|evaluate|finetune|plan|unite)`": r"`model-lego \1`",
    r"\baccuracy_drop\b": "drop",
    r"\bconv_(alpha|beta)\b": r"--\1",
}
#: What is quoted in a message, and is no value of an argument.
QUOTED = re.compile(r"((?<![\w=])'[^']*'(?!\w))")
#: What does not stand before the name of an argument.
BEFORE = r"(?<![\w/.-])"


def in_options(message: str, options: Mapping[str, str]) -> str:
    """A message with `options` (by their names in Python) where it has arguments: --on-clash prefer.

    What it quotes is of the user, and stays.
    """
    return "".join(words if place % 2 else _told(words, options) for place, words in enumerate(QUOTED.split(message)))


def _told(words: str, options: Mapping[str, str]) -> str:
    for python, here in PHRASES.items():
        words = re.sub(python, here, words)
    names = "|".join(sorted(options, key=len, reverse=True)) or "(?!)"
    alone = "|".join(name for name in options if "_" in name) or "(?!)"  # other names are words as well
    words = re.sub(
        rf"{BEFORE}({names})=(True\b|'[^']*'|[\w.]+)", lambda found: _given(options[found[1]], found[2]), words
    )
    return re.sub(rf"{BEFORE}({alone})(?![\w/.-])", lambda found: options[found[1]], words)


def _given(option: str, value: str) -> str:
    return option if value == "True" else f"{option} {value.strip(chr(39))}"


def options_of(commands: Iterable[Callable[..., Any]]) -> dict[str, str]:
    """The options of commands by their names in Python."""
    return {name: flag for command in commands for name, flag in _flags(command)}


@functools.cache
def _flags(command: Callable[..., Any]) -> list[tuple[str, str]]:
    flags = []
    for name, given in inspect.signature(command).parameters.items():
        for info in getattr(given.annotation, "__metadata__", ()):
            if isinstance(info, OptionInfo):
                declared = [flag for flag in info.param_decls or () if flag.startswith("--")]
                flags.append((name, declared[0].partition("/")[0] if declared else f"--{name.replace('_', '-')}"))
    return flags

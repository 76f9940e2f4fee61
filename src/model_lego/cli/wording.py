"""Messages of the library in the words of the command line: what is an argument in Python is an option here."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

#: Words of Python that have others here, whatever the command; the first that fits counts.
PHRASES: Mapping[str, str] = {
    r"pass overwrite=True": "give --overwrite",
    r"pass factory=, .* network": "load it in Python, with a function that builds that network",
    r"give the source or factory=": "give --source and --data",
    r"give calibration=": "give --data",
    r"give a preprocessing": "give --mean and --std",
    r"open_data\(size=\(N, N\)\)": "--size N",
    r"class_names has to name (it|the label numbers)": "the data has to have it under this name",
    r"class_names do not name": "the data does not have",
    r"leave class_names out": "leave their names out",
    r"`diagnose`": "`model-lego doctor`",
    r"\baccuracy_drop\b": "drop",
}


def in_options(message: str, options: Mapping[str, str]) -> str:
    """A message with `options` (by their names in Python) where it has arguments: --on-clash prefer."""
    for python, here in PHRASES.items():
        message = re.sub(python, here, message)
    names = "|".join(sorted(options, key=len, reverse=True))
    told = re.sub(  # what is quoted was written by the user, and stays
        rf"(?<![\w'/.-])({names})=(True\b|'[^']*'|[\w.]+)", lambda found: _option(options[found[1]], found[2]), message
    )
    return re.sub(
        rf"(?<![\w'/.-])({names})(?![\w'/.-])",
        lambda found: options[found[1]] if "_" in found[1] else found[1],
        told,
    )


def options_of(commands: Iterable[Callable[..., Any]]) -> dict[str, str]:
    """The options of commands by their names in Python."""
    return {name: flag for command in commands for name, flag in _flags(command)}


@functools.cache
def _flags(command: Callable[..., Any]) -> list[tuple[str, str]]:
    flags = []
    for name, given in inspect.signature(command).parameters.items():
        for info in getattr(given.annotation, "__metadata__", ()):
            declared = [flag for flag in getattr(info, "param_decls", None) or () if flag.startswith("--")]
            if type(info).__name__ == "OptionInfo":
                flags.append((name, declared[0].partition("/")[0] if declared else f"--{name.replace('_', '-')}"))
    return flags


def _option(flag: str, value: str) -> str:
    return flag if value == "True" else f"{flag} {value.strip(chr(39))}"

"""Keyword arguments that several verbs share: written down once as a TypedDict, held inside as one frozen value.

A verb declares `**options: Unpack[CutOptions]`, so that callers and type checkers see plain keyword arguments.
"""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar, get_type_hints

Value = TypeVar("Value")


def value_of(kind: type[Value], options: Mapping[str, Any]) -> Value:
    """Make a dataclass of those options that are its fields; the others keep their defaults."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in options.items() if name in names})


def refuse_unknown(verb: str, options: Mapping[str, Any], declared: type) -> None:
    """Raise TypeError, as Python does, for an option that is not declared by a TypedDict; names the nearest one.

    >>> from typing import TypedDict
    >>> refuse_unknown("disassemble", {"sed": 1}, TypedDict("Options", {"seed": int}))
    Traceback (most recent call last):
    TypeError: disassemble() got an unexpected keyword argument 'sed'; did you mean 'seed'?
    """
    names = get_type_hints(declared)
    for name in options:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            advice = f"; did you mean '{near[0]}'?" if near else f"; it takes {', '.join(names)}"
            raise TypeError(f"{verb}() got an unexpected keyword argument '{name}'{advice}")

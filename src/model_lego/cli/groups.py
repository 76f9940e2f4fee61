"""Groups of options: a command takes a frozen dataclass, its command line has an option for each of the fields."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from inspect import Parameter
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each field of its groups: of the parameters whose type is a dataclass.

    An option's default is what the parameter's own default says, where it has one, else that of the field.
    """
    signature = inspect.signature(command)
    groups: dict[str, Any] = {
        name: given.annotation for name, given in signature.parameters.items() if is_dataclass(given.annotation)
    }
    options = [option for given in signature.parameters.values() for option in _options(given)]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        held = {
            name: group(**{each.name: given.pop(each.name) for each in fields(group)}) for name, group in groups.items()
        }
        command(**held, **given)

    run.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


def _options(given: Parameter) -> Iterator[Parameter]:
    """The options of a parameter: one for each field of a group, else the parameter itself; all by their names."""
    if not is_dataclass(given.annotation):
        yield given.replace(kind=Parameter.KEYWORD_ONLY)
        return
    hints = get_type_hints(given.annotation, include_extras=True)
    for each in fields(given.annotation):
        default = _default(each) if given.default is Parameter.empty else getattr(given.default, each.name)
        yield Parameter(each.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[each.name])


def _default(each: "Field[Any]") -> Any:
    return Parameter.empty if each.default is MISSING else each.default

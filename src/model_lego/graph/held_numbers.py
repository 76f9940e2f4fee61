"""How an attribute holds a number of channels: as it is, as the one size of a shape, or as one of several.

A shape is `(64,)` or `(64, 1, 1)`. One of several, the sizes into which a forward splits a value, has a name like
`sizes[1]`: the second of them.
"""

import re
from typing import Any

ONE_OF_SEVERAL = re.compile(r"(.+)\[(\d{1,6})\]")


def number_in(value: object) -> int | None:
    """The number that an attribute holds, in a tuple the only one that is not 1; None where it holds none."""
    if type(value) is int:
        return value
    if type(value) is not tuple or not value or any(type(size) is not int for size in value):
        return None
    sizes = [size for size in value if size != 1] or value
    return sizes[0] if len(sizes) == 1 else None


def with_number(value: Any, number: int) -> Any:
    """What such an attribute is with another number in the place of its own."""
    own = number_in(value)
    return tuple(number if size == own else size for size in value) if type(value) is tuple else number


def attribute_of(name: str) -> str:
    """The attribute of which a name tells one number."""
    return _place(name)[0]


def one_of(attribute: str, place: int) -> str:
    """The name of one of several numbers that an attribute holds."""
    return f"{attribute}[{place}]"


def number_at(owner: object, name: str) -> int | None:
    """The number that a module holds under a name; None where it holds none there."""
    attribute, place = _place(name)
    value: Any = getattr(owner, attribute, None)
    if place is None:
        return number_in(value)
    several = type(value) in (tuple, list) and place < len(value)
    return value[place] if several and type(value[place]) is int else None


def put_number(owner: object, name: str, number: int) -> None:
    """Hold another number under a name that holds one."""
    attribute, place = _place(name)
    value: Any = getattr(owner, attribute)
    if place is None:
        setattr(owner, attribute, with_number(value, number))
    else:
        setattr(owner, attribute, type(value)(number if at == place else each for at, each in enumerate(value)))


def _place(name: str) -> tuple[str, int | None]:
    found = ONE_OF_SEVERAL.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)

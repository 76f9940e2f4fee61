"""How an attribute holds a number of channels: as it is, or as the one size of a shape, `(64,)` or `(64, 1, 1)`."""

from typing import Any


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

"""What is said of a network's name that is not there."""

import difflib
from collections.abc import Sequence

from model_lego.errors import BadConfig

#: Names that a message lists.
MOST_NAMED = 12


def unknown(name: str, names: Sequence[str]) -> BadConfig:
    """The refusal of a name, `KIND:NAME`, with the nearest of those that are there."""
    near = difflib.get_close_matches(name.partition(":")[2], names, n=3)
    every = ", ".join(names[:MOST_NAMED]) + (f" … ({len(names)} in all)" if len(names) > MOST_NAMED else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {every}"
    return BadConfig(f"'{name}' is unknown; {hint}")

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


def without_tag(name: str) -> tuple[str, str]:
    """A network's name and the tag of its weights, "resnet50.a1_in1k"; no tag is empty."""
    plain, _, tag = name.partition(".")
    return plain, tag


def unknown_tag(name: str, tags: Sequence[str]) -> BadConfig:
    """The refusal of `KIND:NAME.TAG`, with the nearest of the tags that there are."""
    whole, tag = without_tag(name)
    if not tags:
        return BadConfig(f"'{name}' is unknown; {whole} has no weights, so leave '.{tag}' out")
    longer = [each for each in tags if each.lower().startswith(tag.lower())]
    near = longer[:3] if tag and longer else difflib.get_close_matches(tag, tags, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(tags[:MOST_NAMED])}"
    return BadConfig(f"'{name}' is unknown: {whole} has no weights of this tag; {hint}")

"""Words for classes: when two are written alike, and the synonyms in one name."""

import re
import unicodedata


def simple(word: str) -> str:
    """A word without its case, spaces, underscores, hyphens and commas; accents are one letter, as systems differ."""
    return re.sub(r"[\s_,-]+", "", unicodedata.normalize("NFKC", word).casefold())


def words_of(name: str) -> set[str]:
    """What a class is called, written simply: its whole name, and each synonym between the commas of it.

    A number in brackets behind it, which tells it from another class of that name, is none of them.
    """
    bare = re.sub(r" \((n\d{8}|\d+)\)$", "", name)
    return {simple(word) for word in (name, bare, *bare.split(",")) if word.strip()}


def is_wordnet_number(word: str) -> bool:
    """Whether a word is written as a WordNet number, of ImageNet or not."""
    return re.fullmatch(r"n\d{8}", word) is not None

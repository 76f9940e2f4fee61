"""The header of a card: YAML between two lines of dashes, as the cards of the Hub have it."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

#: Letters of a card in which its header is looked for.
LONGEST = 2**16
#: Names of licences as SPDX and the Hub have them; others are addresses, or sentences.
SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
#: What the Hub wants in the place of a licence that it has no name for.
OTHER = "other"


def header_of(text: str) -> dict[str, Any]:
    """What the header of a card says; nothing where it has none, or one that cannot be read."""
    try:
        found = yaml.safe_load(_split(text[:LONGEST])[0])
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        RecursionError,
    ):  # a 13th month, a list as a key, a thousand brackets
        return {}
    return found if isinstance(found, dict) else {}


def with_header(text: str, header: Mapping[str, Any]) -> str:
    """A card with another header."""
    written = yaml.safe_dump(dict(header), sort_keys=False, allow_unicode=True)
    return f"---\n{written}---\n{_split(text)[1]}"


def licences_in(header: Mapping[str, Any]) -> tuple[str, ...]:
    """The licences that a header names; of one that the Hub has no name for, what it is called or where it is."""
    found = header.get("license")
    names = [str(each) for each in (found if isinstance(found, list) else [found]) if each]
    own = header.get("license_name") or header.get("license_link")
    return tuple(str(own) if name == OTHER and own else name for name in names)


def licence_entries(licences: tuple[str, ...]) -> dict[str, Any]:
    """What a header says of licences, one or several; nothing where none is known."""
    if not licences:
        return {}
    names = [name if SPDX.fullmatch(name) else OTHER for name in licences]
    own = [name for name in licences if not SPDX.fullmatch(name)]
    entries: dict[str, Any] = {"license": names[0] if len(names) == 1 else list(dict.fromkeys(names))}
    if own:
        entries |= {"license_name": OTHER, "license_link": own[0]} if "://" in own[0] else {"license_name": own[0]}
    return entries


def _split(text: str) -> tuple[str, str]:
    """The header of a card, which stands between two lines of dashes, and what follows."""
    if not text.startswith("---\n"):
        return "", text
    header, end, rest = text[4:].partition("\n---\n")
    return (header, rest) if end else ("", text)

"""Licences that do not go together: a small table, which is no legal advice.

Names are those of SPDX in lower case, as cards of the Hub have them. What is not in the table is not judged.
"""

from collections.abc import Iterable
from itertools import combinations

GPL_2 = ("gpl-2.0", "gpl-2.0-only")
GPL_3 = ("gpl-3.0", "gpl-3.0-only", "gpl-3.0-or-later", "agpl-3.0", "agpl-3.0-only", "agpl-3.0-or-later")
NON_COMMERCIAL = ("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0")
SHARE_ALIKE = ("cc-by-sa-3.0", "cc-by-sa-4.0")
NO_DERIVATIVES = ("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0")
USE_BASED = ("openrail", "creativeml-openrail-m", "bigscience-openrail-m", "openrail++")

#: Licences of two parts of which none allows the whole to be passed on under the other's terms, and why.
CLASHES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (GPL_2, ("apache-2.0",), "the patent terms of the latter are a further restriction"),
    (GPL_2, GPL_3, "each wants the whole under itself"),
    ((*GPL_2, *GPL_3), NON_COMMERCIAL, "the former allows selling, the latter does not"),
    ((*GPL_2, *GPL_3), USE_BASED, "limits of use are a further restriction"),
    (GPL_2, SHARE_ALIKE, "each wants the whole under itself"),
    (SHARE_ALIKE, NON_COMMERCIAL, "the former allows selling, the latter does not"),
    (SHARE_ALIKE, USE_BASED, "limits of use are a further restriction"),
)


def clashes(licences: Iterable[str]) -> tuple[str, ...]:
    """What of these licences does not go together, and what allows no changed copies at all, a sentence each."""
    names = tuple(dict.fromkeys(licences))
    found = [f"{name} allows no changed copies to be passed on" for name in names if name.lower() in NO_DERIVATIVES]
    for pair in combinations(names, 2):
        for one, other in (pair, pair[::-1]):
            found += [
                f"{one} and {other} do not go together: {why}"
                for first, second, why in CLASHES
                if one.lower() in first and other.lower() in second
            ]
    return tuple(found)

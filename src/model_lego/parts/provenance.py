"""The noun Provenance: what a part is made of and with, beside its origin."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import chain


@dataclass(frozen=True, slots=True)
class Provenance:
    """Whose weights a part has, and what it was made with, as far as that was said.

    `licences` are those of the source's weights (SPDX names such as "apache-2.0"), `revisions` which weights these are
    (a tag, or a commit), `data` the names of the data that it was made with. The command is in the recipe beside it.
    """

    licences: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


#: Nothing that anybody said.
UNSAID = Provenance()


def together(several: Iterable[Provenance]) -> Provenance:
    """All that some say, each of it once."""
    found = list(several)
    return Provenance(
        *(
            tuple(dict.fromkeys(chain.from_iterable(getattr(each, field.name) for each in found)))
            for field in fields(Provenance)
        )
    )

"""The noun `BinnedPart`: what is known of a part in a bin without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from model_lego.names.bin_names import SHOWN


@dataclass(frozen=True, slots=True)
class BinnedPart:
    """A part in a bin, as its manifest and card tell of it: what they claim, of which the weights alone are proved.

    `members` are classes that count as one of the part's. `sources` are names of the uncut networks (empty for one
    without a name), `source_digests` those of their tensors. `parameters` and `macs` (multiply-adds for an image) are
    of the networks without a head, `bytes` those of the weights file. `accuracy` is that of the verdict in %, of a part
    with one class the area under the ROC curve. `broken` says why a part cannot be used, and is empty for a good one.
    """

    name: str
    digest: str
    folder: Path
    kind: str = ""
    classes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    source_digests: tuple[str, ...] = ()
    parameters: int = 0
    macs: int = 0
    bytes: int = 0
    accuracy: float | None = None
    licence: str = ""
    broken: str = ""

    @property
    def reference(self) -> str:
        """How a command or `load` names it: bin:NAME@DIGEST."""
        return f"bin:{self}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest[:SHOWN]}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return self.facts() | {"folder": str(self.folder), "reference": self.reference}

    def facts(self) -> dict[str, Any]:
        """What `from_facts` needs in another folder or process, as JSON values."""
        return {name: getattr(self, name) for name in FACTS}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], folder: Path) -> "BinnedPart":
        """The part of `facts` in its folder; raises TypeError or KeyError for those of another version."""
        return cls(folder=folder, **{**facts, **{name: tuple(facts[name]) for name in ROWS}})

    def because(self, broken: str) -> "BinnedPart":
        """The same, broken, and why."""
        return replace(self, broken=broken)


FACTS = tuple(each.name for each in fields(BinnedPart) if each.name != "folder")
#: Those of several words, which JSON gives back as lists.
ROWS = ("classes", "members", "sources", "source_digests")


def has_class(part: BinnedPart, wanted: str) -> bool:
    """Whether a part tells a class, whatever its case; `*` and `?` stand for any letters and for one."""
    return any(fnmatchcase(name.casefold(), wanted.casefold()) for name in (*part.classes, *part.members))


def is_from(part: BinnedPart, source: str) -> bool:
    """Whether a part is of a source whose name has this text in it, or whose digest begins with it."""
    asked = source.casefold()
    return any(asked in name.casefold() for name in part.sources) or any(
        digest.startswith(asked) for digest in part.source_digests
    )

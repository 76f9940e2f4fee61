"""Parts on the Hub by name, `hub:USER/NAME@REVISION`. Nothing here needs torch."""

import re
from dataclasses import dataclass
from pathlib import Path

from model_lego.errors import BadConfig

#: How names of parts on the Hub begin.
PREFIX = "hub:"
#: The branch that is meant where none is named.
MAIN = "main"
#: The name of a repository, and of a branch, a tag or a commit of it.
NAME = re.compile(r"(?![^@]*(?:--|\.\.))(\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?)(?:@([\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST = 96


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository on the Hub, and a branch, a tag or a commit of it."""

    repository: str
    revision: str = MAIN

    @property
    def pinned(self) -> bool:
        """Whether it means one part for ever: the revision is a whole commit."""
        return _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}@{self.revision}"


def is_on_hub(part: object) -> bool:
    """Whether a part is named as one on the Hub."""
    return str(part).startswith(PREFIX)


def hub_name(text: str) -> HubName:
    """The repository and the revision that a name means, with or without `hub:`; raises BadConfig."""
    said = NAME.fullmatch(text.removeprefix(PREFIX))
    if said is None or len(said[1]) > _LONGEST or ".." in (said[2] or ""):
        raise BadConfig(f"'{text}' is no name of a part on the Hub: write hub:USER/NAME or hub:USER/NAME@REVISION")
    return HubName(said[1], said[2] or MAIN)


def is_of_cache(link: Path) -> bool:
    """Whether a link is one that the Hub's cache consists of: of a snapshot, to what came from the same repository."""
    snapshots = link.parent.parent
    if snapshots.name != "snapshots":
        return False
    try:
        from huggingface_hub import constants
    except ImportError:
        return False
    own = snapshots.parent.resolve()
    return own.parent == Path(constants.HF_HUB_CACHE).resolve() and link.resolve().parent == own / "blobs"

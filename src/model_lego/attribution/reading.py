"""How batches are read: what is told of it, which processes share it, and where it is noted down."""

from dataclasses import dataclass

from model_lego.attribution.checkpoint import FORGETFUL, Notes
from model_lego.processes import Group
from model_lego.progress import Progress, quiet


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage through batches: progress is told, a group of processes shares it, notes let it be taken up again."""

    progress: Progress = quiet
    group: Group = None
    notes: Notes = FORGETFUL


#: In one process, silently, from the start.
ALONE = Reading()

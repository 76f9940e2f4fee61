"""Where a training that can be interrupted keeps its state: a folder beside its output."""

import shutil
from pathlib import Path

from model_lego.errors import BadConfig, OutputExists
from model_lego.store.replacing import check_out
from model_lego.training.trained_folder import CHECKPOINT


def open_checkpoint(out: str, *, overwrite: bool, resume: bool) -> Path:
    """The file to keep the state in, after `out` was found to be free; raises BadConfig, OutputExists.

    What an interrupted run left is taken up with `resume`, and thrown away with `overwrite`.
    """
    check_out(out, overwrite=overwrite)
    path = _beside(out) / CHECKPOINT
    if resume and not path.is_file():
        raise BadConfig(f"there is no '{path}' to go on from; leave --resume out")
    if path.parent.exists() and not resume:
        if not overwrite:
            raise OutputExists(f"'{path.parent}' is of an interrupted run; give --resume to go on, or --overwrite")
        close_checkpoint(out)
    return path


def close_checkpoint(out: str) -> None:
    """Remove the state of a run that is done, and nothing else."""
    folder = _beside(out)
    for path in (folder / CHECKPOINT, folder / f"{CHECKPOINT}.alone"):
        path.unlink(missing_ok=True)
    if folder.exists():
        if any(folder.iterdir()):
            raise OutputExists(f"'{folder}' holds files of somebody else; move them first")
        shutil.rmtree(folder)


def _beside(out: str) -> Path:
    return Path(out).with_name(f"{Path(out).name}.unfinished")

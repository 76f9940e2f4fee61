"""The archive of torch.export (.pt2): run by torch, without the code of the network."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from model_lego.exporting.formats import Array, Run

if TYPE_CHECKING:
    from model_lego.exporting.taken import Writable

#: The file inside the archive that holds the notes, a JSON object of texts.
NOTES = "model_lego.json"


def write(given: "Writable", file: Path) -> None:
    """Write the archive; raises TraceFailed."""
    notes = json.dumps(dict(given.notes), ensure_ascii=False, indent=1, sort_keys=True)
    torch.export.save(given.program(), file, extra_files={NOTES: notes})


def opened(file: Path, threads: int | None = None, *, compiled: bool = False) -> Run:
    """What runs an archive on a batch, with so many threads or as many as torch takes.

    It can be compiled, for each size of a batch on its own.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    module: torch.nn.Module = torch.export.load(file).module()
    if compiled:
        module.compile(dynamic=False)

    @torch.no_grad()
    def run(batch: Array) -> Array:
        answer: Array = module(torch.from_numpy(batch)).numpy()
        return answer

    return run

"""A program of ExecuTorch (.pte) for phones and small devices, its layers handed to XNNPACK; run by executorch."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from model_lego.errors import ExportFailed
from model_lego.exporting.formats import Array, Run

if TYPE_CHECKING:
    from model_lego.exporting.taken import Writable

#: Images that run at once, at most: the program plans its memory for so many, and ExecuTorch for no more than these.
LARGEST_BATCH = 15
#: The method of the program that gives the notes, a JSON object of texts.
NOTES = "model_lego"


def write(given: "Writable", file: Path) -> None:
    """Write the program; raises TraceFailed, ExportFailed."""
    from torch.export import Dim

    from model_lego.graph.modules import first_line
    from model_lego.graph.program import silence

    program = given.program({0: Dim("batch", min=1, max=LARGEST_BATCH)})
    notes = json.dumps(dict(given.notes), ensure_ascii=False, sort_keys=True)
    try:
        with warnings.catch_warnings(), silence():
            warnings.simplefilter("ignore")
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower

            lowered = to_edge_transform_and_lower(
                program, partitioner=[XnnpackPartitioner()], constant_methods={NOTES: notes}
            )
            made = lowered.to_executorch().buffer
    except Exception as error:  # whatever its passes raise
        raise ExportFailed(f"the part cannot be written for ExecuTorch: {first_line(error)}") from error
    file.write_bytes(made)


def opened(file: Path, threads: int | None = None) -> Run:
    """What runs a program on a batch, in pieces; ExecuTorch takes as many threads as there are processors."""
    import numpy as np
    import torch
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(file).load_method("forward")

    def run(batch: Array) -> Array:
        pieces = torch.from_numpy(batch).split(LARGEST_BATCH)
        answers = [method.execute([piece])[0].numpy().copy() for piece in pieces]  # it writes into the same memory
        return np.concatenate(answers)

    return run

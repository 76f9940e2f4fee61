"""Networks that write into the images that they are given: whoever uses these again gets others."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.errors import RefusedError
from model_lego.graph.nodes import module_path, writes
from model_lego.graph.program import Program


@torch.no_grad()
def refuse_written_images(program: Program, model: nn.Module, example: Tensor) -> None:
    """Raise RefusedError for a network that writes into its images, also through what shares their memory.

    The caller's batches would change from one pass to the next, and so would what another part of an assembly reads.
    """
    if not any(writes(node) for node in program.nodes):
        return
    images = example.clone()  # torch counts what is written into it
    ran: list[fx.Node] = []
    writers: list[fx.Node] = []

    def watch(node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if images._version and not writers:
            writers.append(ran[-1])
        ran.append(node)
        return args

    program.run(model, images, watch)
    if images._version:
        node = (writers or ran[-1:])[0]
        raise RefusedError(
            f"layer '{module_path(node)}' writes into the images ({node.target}), so that they are others "
            "when they are used again; make it work on a copy, x.clone(), or take the operator that is not in place"
        )

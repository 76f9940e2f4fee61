"""What stands for a network (an exported program, a network with plain weights) has to give what the network gives."""

import torch
from torch import Tensor, nn

from model_lego.errors import TraceFailed
from model_lego.graph.modules import plain_run
from model_lego.graph.program import Program
from model_lego.parts.answers import difference


@torch.no_grad()
def refuse_other_operators(program: Program, model: nn.Module, images: Tensor) -> None:
    """Raise TraceFailed for operators that give other logits than the network that they were exported from."""
    _refuse(plain_run(model, images), program.run(model, images), "the operators that torch.export found give")


def refuse_other_network(twin: nn.Module, model: nn.Module, images: Tensor) -> None:
    """Raise TraceFailed for a network that gives other logits than the one that it was made of."""
    _refuse(plain_run(model, images), plain_run(twin, images), "the network with its weights made plain gives")


def _refuse(expected: Tensor, found: Tensor, what: str) -> None:
    known = found.dim() == 2 and bool(torch.isfinite(expected).all())  # what is no batch of logits is said elsewhere
    if known and (apart := difference(expected, found)):
        raise TraceFailed(
            f"{what}, beside the network itself, {apart}; its forward goes by something that no export keeps, such as "
            "a value in Python that changes from call to call"
        )

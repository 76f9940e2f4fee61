"""Small hand-made networks (under 20,000 parameters), one for each thing a classifier may do; nothing of ours imported.

All of `TINY` and `REFUSED` take images of `B x 3 x 12 x 12` and, but for `one_logit`, give `B x 5` logits.
`REFUSED` are those that no one can take apart; `OTHER` take something else than images.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.support.tiny.coupled import COUPLED
from tests.support.tiny.gates import GATES
from tests.support.tiny.plain import CLASSES, PLAIN
from tests.support.tiny.planted import planted
from tests.support.tiny.streams import STREAMS
from tests.support.tiny.tokens import ATTENTION
from tests.support.tiny.unusual import OTHER, REFUSED, UNUSUAL

__all__ = ["CLASSES", "IMAGE", "OTHER", "REFUSED", "TINY", "build", "inputs", "planted", "randomize_batchnorm"]

IMAGE = (3, 12, 12)
SHAPES = {"conv1d": (3, 24)}
TINY: dict[str, Callable[[], nn.Module]] = {**PLAIN, **STREAMS, **GATES, **COUPLED, **UNUSUAL, **ATTENTION}

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
MIXERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def build(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A network of TINY, OTHER or REFUSED in eval mode, its norms and biases randomised, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = {**TINY, **OTHER, **REFUSED}[name]()
    strengthen(model)
    randomize_batchnorm(model, torch.Generator().manual_seed(seed + 1))
    return model.to(dtype).eval()


def inputs(name: str, *, batch: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random images (or what the network takes), each of a tint of its own, which a mean over the pixels can see."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, *SHAPES.get(name, IMAGE))
    tint = torch.randn(*shape[:2], *(1 for _ in shape[2:]), generator=generator, dtype=torch.float64)
    return (tint + torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def strengthen(model: nn.Module) -> None:
    """Scale weights so that a relu network keeps the size of its signal: torch's start lets it fade into the biases."""
    mixers = (module for module in model.modules() if isinstance(module, MIXERS))
    weights = {id(p): p for module in mixers for p in module.parameters() if p.dim() > 1}  # a tied weight once
    with torch.no_grad():
        for weight in weights.values():
            weight.mul_(6**0.5)


def randomize_batchnorm(model: nn.Module, generator: torch.Generator) -> None:
    """Randomise norms (statistics too) and biases in place: a fresh BatchNorm is the identity and hides bugs."""

    def spread(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.copy_(low + (high - low) * values)

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, NORMS) and module.weight is not None:
                spread(module.weight, 0.5, 1.5)
            if isinstance(module, (*NORMS, *MIXERS)) and module.bias is not None:
                spread(module.bias, -0.5, 0.5)
            if isinstance(module, NORMS) and getattr(module, "running_var", None) is not None:
                spread(module.running_mean, -0.5, 0.5)
                spread(module.running_var, 0.5, 2.0)

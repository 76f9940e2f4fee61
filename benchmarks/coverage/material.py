"""What a network is tried with: images of a size that runs, and weights that hide no mistake."""

import torch
from torch import Tensor, nn

from benchmarks.coverage.comparing import answer
from tests.support.tiny_models import MIXERS, NORMS, randomize_batchnorm, strengthen

SIDES = (64, 96, 128, 160, 192, 224, 256, 288, 320, 384)  # the first on which the network runs
FAINT = 1e-3  # a scale that starts at this or less is drawn anew


def images(model: nn.Module) -> Tensor:
    """Random images of the smallest size that runs, each of a tint of its own."""
    generator = torch.Generator().manual_seed(0)
    for side in SIDES:
        x = tinted(side, generator)
        try:
            with torch.no_grad():
                model(x)
        except (RuntimeError, ValueError, AssertionError):
            if side == SIDES[-1]:
                raise
        else:
            return x
    raise AssertionError


def tinted(side: int, generator: torch.Generator, *, channels: int = 3) -> Tensor:
    """Three square images of noise, each of a tint of its own."""
    tint = torch.randn(3, channels, 1, 1, generator=generator, dtype=torch.float64)
    return tint + torch.randn(3, channels, side, side, generator=generator, dtype=torch.float64)


@torch.no_grad()
def enliven(model: nn.Module, x: Tensor, *, least: float = 0.1) -> None:
    """Give a network random norms, and weights with which something of the images is left at its end.

    A fresh BatchNorm is the identity, a fresh scale of a branch often next to nothing: both would hide mistakes. Logits
    differ by at least so much of the largest.
    """
    generator = torch.Generator().manual_seed(1)
    randomize_batchnorm(model, generator)
    _draw_faint(model, generator)
    model.train().eval()  # what some networks keep of their weights for later is made anew
    _center(model, x, generator)
    for _ in range(8):
        logits = answer(model, x)
        if logits.std(0).max() > least * logits.abs().max():
            return
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        strengthen(model)
        model.train().eval()
        if not bool(torch.isfinite(answer(model, x)).all()):
            model.load_state_dict(kept)
            return


def _draw_faint(model: nn.Module, generator: torch.Generator) -> None:
    """Draw weights anew that start at zero, or so near that what they scale is lost."""
    for module in model.modules():
        if isinstance(module, NORMS):
            continue
        for parameter in module.parameters(recurse=False):
            if not parameter.numel() or parameter.abs().max() > FAINT:
                continue
            if not isinstance(module, MIXERS):
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype))
            elif parameter.dim() > 1:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def _center(model: nn.Module, x: Tensor, generator: torch.Generator) -> None:
    """Put the statistics of each BatchNorm about those of its values: random ones let a deep network explode."""

    def measure(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        values = arguments[0].transpose(0, 1).flatten(1)
        mean, spread = values.mean(1), values.std(1)
        spread = torch.maximum(spread, 0.1 * spread.mean() + 1e-6)
        noise = torch.rand(2, len(mean), generator=generator, dtype=mean.dtype)
        norm.get_buffer("running_mean").copy_(mean + (noise[0] - 0.5) * spread)
        norm.get_buffer("running_var").copy_((spread * (0.7 + 0.7 * noise[1])).square())

    norms = [module for module in model.modules() if getattr(module, "running_var", None) is not None]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    model(x)
    for hook in hooks:
        hook.remove()

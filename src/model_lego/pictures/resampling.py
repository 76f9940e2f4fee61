"""Resizing as two matrix products whose weights follow the size of the images: plain operators, for every runtime.

Exported programs have it in the place of torch's own operators, which other runtimes lack or round otherwise.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def resampled(images: Tensor, sides: Tensor, final: tuple[int, int], interpolation: str) -> Tensor:
    """Images (batch x channels x height x width) brought to `sides` (height, width), and of these the middle, `final`.

    What is made smaller is averaged over, as torch and Pillow do.
    """
    rows, columns = (_weights(images, 2 + dim, sides[dim], final[dim], interpolation) for dim in (0, 1))
    return rows @ images @ columns.transpose(0, 1)


def _weights(images: Tensor, dim: int, side: Tensor, kept: int, interpolation: str) -> Tensor:
    """What each pixel of one dimension has of each pixel before: kept x given, rows sum to one."""
    given = torch.arange(images.shape[dim], dtype=images.dtype, device=images.device) + 0.5
    made = torch.arange(kept, dtype=images.dtype, device=images.device) + half(side - kept) + 0.5
    scale = images.shape[dim] / side.to(images)
    centres = (made * scale)[:, None]
    if interpolation == "nearest":
        return (given.floor()[None] == centres.floor()).to(images)
    distances = (given[None] - centres).abs() / scale.clamp(min=1)
    weights = KERNELS[interpolation](distances)
    return weights / weights.sum(1, keepdim=True)


def half(rest: Tensor | int) -> Tensor | int:
    """Half of what is cut off, rounded to even as torchvision and timm do."""
    return rest // 2 + rest % 2 * (rest // 2 % 2)


def _linear(distances: Tensor) -> Tensor:
    return (1 - distances).clamp(min=0)


def _cubic(distances: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2, as torch and Pillow have it."""
    near = (1.5 * distances - 2.5) * distances**2 + 1
    far = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
    return torch.where(distances < 1, near, torch.where(distances < 2, far, torch.zeros_like(far)))


KERNELS: dict[str, Callable[[Tensor], Tensor]] = {"bilinear": _linear, "bicubic": _cubic}

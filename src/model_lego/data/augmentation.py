"""Random crops and flips of whole batches, from a generator."""

import torch
from torch import Tensor
from torch.nn import functional as F


def cropped(x: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Crops of the images' own size at random places of the images padded with zeros: batch x C x H x W."""
    batch, channels, height, width = x.shape
    shifts = torch.randint(0, 2 * padding + 1, (2, batch, 1), generator=generator)
    rows, columns = shifts[0] + torch.arange(height), shifts[1] + torch.arange(width)
    images, planes = torch.arange(batch)[:, None, None, None], torch.arange(channels)[:, None, None]
    return F.pad(x, (padding,) * 4)[images, planes, rows[:, None, :, None], columns[:, None, None, :]]


def flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images of which half, at random, are mirrored left to right."""
    mirror = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
    return torch.where(mirror[:, None, None, None], x.flip(3), x)

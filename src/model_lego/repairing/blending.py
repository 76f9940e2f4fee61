"""Calibration images in two halves, and blends of them: two laid over each other fit a layer as more photos would."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.data.batching import Images

#: Images and blends are so many together at least, but no more than so many blends an image; and one an image anyway.
TOGETHER, MOST = 1000, 4


@dataclass(frozen=True, slots=True, eq=False)
class Blended:
    """Images, and behind them blends of pairs of them: a slice is a tensor N x C x H x W.

    `pairs` are places of images (blends x 2); `first` says what is of the first half, of images and blends. Both images
    of a blend are of one half, so that nothing of the other half has been seen.
    """

    images: Images
    pairs: Tensor
    first: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, some: slice) -> Tensor:
        start, stop, _ = some.indices(len(self))
        count = len(self.images)
        made = [self.images[start : min(stop, count)]] if start < count or not len(self.pairs) else []
        for one, other in self.pairs[max(start - count, 0) : max(stop - count, 0)].tolist():
            made.append((self.images[one : one + 1] + self.images[other : other + 1]) / 2)
        return torch.cat(made)


def blended(images: Images, seed: int, *, blends: bool) -> Blended:
    """Images halved at random, as they may come in the order of their classes, and blends of them if wanted."""
    count = len(images)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    halves = order.tensor_split([(count + 1) // 2])
    first = torch.isin(torch.arange(count), halves[0])
    wanted = max(count, min(TOGETHER - count, MOST * count)) if blends and count > 1 else 0
    rounds = [
        torch.stack([order, torch.cat([half.roll(-turn) for half in halves])], 1)
        for turn in range(1, math.ceil(wanted / max(count, 1)) + 1)
    ]
    pairs = torch.cat([torch.empty(0, 2, dtype=torch.int64), *rounds])[:wanted]
    return Blended(images, pairs, torch.cat([first, first[pairs[:, 0]]]))

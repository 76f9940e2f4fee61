"""Which channels a layer needs, where the others may be rebuilt from them: the criterion that suits the ridge repair.

A layer reads x, of which a cut leaves some channels. What no linear map of these gives back is an error e in x, and the
logits change by the product of e and their derivative by x, summed over channels and positions. What of e is alike all
over an image adds up over its positions, so it is told apart from the rest. With C the covariance of what is left over
of each part after regression (of x) on the kept channels, and S the second moments of the derivative there, the change
is the sum of tr(S C) over both parts in the mean square, in the same unit at all layers. S holds what the derivatives
of several channels have in common, of several outputs and taps too: errors that push the logits the same way add up.
Channels are taken one after the other, each time those that lower it most; what a channel lowers it by is its score (a
pivoted Cholesky factorisation of the covariance of x, weighted by S).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from model_lego.budgets.sensitivity import Band, Sense
from model_lego.graph import ChannelGraph, Layer

#: A layer with more channels takes several at once.
STEPS = 512
#: Where the error is so small a share of what it was, the rest of the channels are not worth anything.
ENOUGH = 1e-7
#: Where fewer of the channels than this share are still to be taken, the others are left out of the sums.
DENSE = 0.9


def reconstruction(graph: ChannelGraph, senses: Mapping[str, Sense], *, caution: float = 1.0) -> Tensor:
    """Score every channel by the mean squared change of the logits that it keeps from happening, over all its readers.

    One number a channel of the graph. Of correlations what is chance in them is not believed, as few images show too
    many (so many times, where `caution` is another number). Depthwise layers are left out: their channels go on to the
    next reader.
    """
    scores = torch.zeros(graph.width, dtype=torch.float64)
    for layer in graph.layers:
        sense = senses[layer.name]
        if not sense.bands:
            continue
        bands = [replace(band, covariance=believed(band.covariance, caution * band.chance)) for band in sense.bands]
        for places in _groups(layer, sense.channels):
            gains = gains_of([_of(band, places) for band in bands])
            scores.index_add_(0, sense.channels[places], gains)
    for product in graph.products:  # no other channel of a query stands for one that goes
        scores.index_add_(0, senses[product.node].channels, senses[product.node].change)
    return scores


def believed(covariance: Tensor, doubt: float) -> Tensor:
    """A covariance of which the correlations are shrunk by a share, at most all of them."""
    share = min(1.0, doubt)
    return (1 - share) * covariance + share * covariance.diagonal().diag()


def gains_of(bands: Sequence[Band]) -> Tensor:
    """What each channel lowers the sum of tr(slopes @ covariance) by as it is taken, the best first.

    The kept channels give the others back by one map, fitted to all bands at once. Zero for channels that are not
    needed.
    """
    left = _sum(band.covariance for band in bands)  # of x itself
    parts = [_Left(band, left) for band in bands]
    total, floor = sum(part.change for part in parts), 1e-6 * float(left.diagonal().max())
    gains = torch.zeros(len(left), dtype=torch.float64)
    channels, free = torch.arange(len(left)), torch.ones(len(left), dtype=torch.bool)
    count = math.ceil(len(left) / STEPS)
    for _ in range(STEPS):
        if int(free.sum()) < DENSE * len(free):  # what is taken has nothing left over, and says nothing of the others
            channels, left = channels[free], left[free][:, free]
            for part in parts:
                part.narrow(free)
            free = torch.ones(len(left), dtype=torch.bool)
        variance = left.diagonal()
        lowered = _sum(part.lowered(left) for part in parts)
        best, places = torch.where(free & (variance > floor), lowered, 0.0).topk(min(count, len(lowered)))
        places = places[best > ENOUGH * total]
        if not len(places):
            break
        gains[channels[places]], free[places] = lowered[places], False
        rows = left[places].clone()  # of channels taken together one may follow from the others: no inverse
        inverse = torch.linalg.pinv(rows[:, places], atol=floor * 1e-3, hermitian=True)
        solved = inverse @ rows
        for part in parts:
            part.take(places, inverse, solved)
        left.addmm_(rows.T, solved, alpha=-1)
    return gains


class _Left:
    """What is left over in one band: its covariance `error`, S times it, and S times what is left over of x."""

    def __init__(self, band: Band, whole: Tensor) -> None:
        self.error, self.noticed = band.covariance.clone(), band.slopes @ band.covariance
        self.reached = band.slopes @ whole

    @property
    def change(self) -> float:
        """The mean squared change of the logits that is left."""
        return float(self.noticed.diagonal().sum())

    def lowered(self, left: Tensor) -> Tensor:
        """What each channel would lower it by, where `left` is what is left over of x."""
        variance = left.diagonal().clamp(min=1e-300)
        explained, itself = (_dots(left, each) / variance for each in (self.noticed, self.reached))
        return 2 * explained - self.error.diagonal() / variance * itself

    def take(self, places: Tensor, inverse: Tensor, solved: Tensor) -> None:
        """Take channels, of which `solved` (places x channels) gives the others: what is left is less by that."""
        rows, reached = self.error[places], self.reached[:, places]
        through, itself = reached @ inverse, rows[:, places]
        half, noticed = rows - itself @ solved / 2, self.noticed[:, places] - through @ itself / 2
        both = torch.cat([half, solved])  # each of the large ones is gone through once
        self.error.addmm_(torch.cat([solved, half]).T, both, alpha=-1)  # R error R', R = 1 - solved' E
        self.noticed.addmm_(torch.cat([through, noticed], 1), both, alpha=-1)
        self.reached.addmm_(reached, solved, alpha=-1)

    def narrow(self, free: Tensor) -> None:
        """Leave out channels that are taken."""
        self.error, self.noticed, self.reached = (
            each[free][:, free] for each in (self.error, self.noticed, self.reached)
        )


def _dots(one: Tensor, other: Tensor) -> Tensor:
    """The product of each column of one with the same of the other; torch takes six times as long."""
    return torch.from_numpy(np.einsum("ij,ij->j", one.numpy(), other.numpy()))


def _sum(tensors: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).sum(0)


def _of(band: Band, places: Tensor) -> Band:
    """The band of some channels."""
    return Band(band.covariance[places][:, places], band.slopes[places][:, places])


def _groups(layer: Layer, channels: Tensor) -> list[Tensor]:
    """For each group of a layer the places of its inputs among `channels`."""
    if layer.groups == 1:
        return [torch.arange(len(channels))]
    place = torch.zeros(int(channels.max()) + 1, dtype=torch.int64)
    place[channels] = torch.arange(len(channels))
    return list(place[layer.inputs].chunk(layer.groups))

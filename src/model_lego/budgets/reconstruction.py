"""Which channels a layer needs, where the others may be rebuilt from them: the criterion that suits the ridge repair.

A layer reads x, of which a cut leaves some channels. What no linear map of these gives back is an error e in x, and the
logits change by the product of e and their derivative by x, summed over channels and positions. With C the covariance
of what is left over of x after regression on the kept channels, and S the second moments of the derivative, that is
tr(S C) in the mean square, in the same unit at all layers. S holds what the derivatives of several channels have in
common, of several outputs and taps too: errors that push the logits the same way add up. Channels are taken one after
the other, each time those that lower it most; what a channel lowers it by is its score (a pivoted Cholesky
factorisation of C, weighted by S).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from model_lego.budgets.sensitivity import Sense
from model_lego.graph import ChannelGraph, Layer

#: How many times what is due to chance correlations are shrunk: what a map gains from chance, it also loses elsewhere.
CAUTION = 3.0
#: A layer with more channels takes several at once.
STEPS = 512
#: Where the error is so small a share of what it was, the rest of the channels are not worth anything.
ENOUGH = 1e-7
#: Where fewer of the channels than this share are still to be taken, the others are left out of the sums.
DENSE = 0.9


def reconstruction(graph: ChannelGraph, senses: Mapping[str, Sense], *, caution: float = CAUTION) -> Tensor:
    """Score every channel by the mean squared change of the logits that it keeps from happening, over all its readers.

    One number a channel of the graph. Correlations are believed less by `caution` times what is chance in them, as few
    images show too many. Depthwise layers are left out: their channels go on to the next reader.
    """
    scores = torch.zeros(graph.width, dtype=torch.float64)
    for layer in graph.layers:
        sense = senses[layer.name]
        if sense.covariance is None or sense.slopes is None:
            continue
        covariance = believed(sense.covariance, caution * sense.chance)
        for places in _groups(layer, sense.channels):
            gains = gains_of(covariance[places][:, places], sense.slopes[places][:, places])
            scores.index_add_(0, sense.channels[places], gains)
    return scores


def believed(covariance: Tensor, doubt: float) -> Tensor:
    """A covariance of which the correlations are shrunk by a share, at most all of them."""
    share = min(1.0, doubt)
    return (1 - share) * covariance + share * covariance.diagonal().diag()


def gains_of(covariance: Tensor, square: Tensor) -> Tensor:
    """What each channel lowers tr(square @ covariance) by as it is taken, the best first; both channels x channels.

    Zero for channels that are not needed.
    """
    left, product = covariance.clone(), square @ covariance
    total, floor = float(product.diagonal().sum()), 1e-6 * float(left.diagonal().max())
    gains = torch.zeros(len(left), dtype=torch.float64)
    channels, free = torch.arange(len(left)), torch.ones(len(left), dtype=torch.bool)
    count = math.ceil(len(left) / STEPS)
    for _ in range(STEPS):
        if int(free.sum()) < DENSE * len(free):  # what is taken has nothing left over, and says nothing of the others
            channels, left, product = channels[free], left[free][:, free], product[free][:, free]
            free = torch.ones(len(left), dtype=torch.bool)
        variance = left.diagonal()
        gain = torch.where(free & (variance > floor), (left * product).sum(0) / variance.clamp(min=1e-300), 0.0)
        best, places = gain.topk(min(count, len(gain)))
        places = places[best > ENOUGH * total]
        if not len(places):
            break
        gains[channels[places]], free[places] = gain[places], False
        rows = left[places].clone()  # of channels taken together one may follow from the others: no inverse
        solved = torch.linalg.pinv(rows[:, places], atol=floor * 1e-3, hermitian=True) @ rows
        product.addmm_(product[:, places], solved, alpha=-1)
        left.addmm_(rows.T, solved, alpha=-1)
    return gains


def _groups(layer: Layer, channels: Tensor) -> list[Tensor]:
    """For each group of a layer the places of its inputs among `channels`."""
    if layer.groups == 1:
        return [torch.arange(len(channels))]
    place = torch.zeros(int(channels.max()) + 1, dtype=torch.int64)
    place[channels] = torch.arange(len(channels))
    return list(place[layer.inputs].chunk(layer.groups))

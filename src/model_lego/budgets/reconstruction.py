"""Which channels a layer needs, where the others may be rebuilt from them: the criterion that suits the ridge repair.

A layer y = W x loses, for want of the channels that are cut, an error in y that no linear map of the kept channels
gives back. With C the covariance of what is left over of x after regression on the kept channels, and d the mean square
of the derivative of the logits by y, the logits change by tr(W' diag(d) W C) in the mean square. That number is in the
same unit at all layers. Channels are taken one after the other, each time those that lower it most; what a channel
lowers it by is its score (a pivoted Cholesky factorisation of C, weighted by what the outputs are worth).
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model_lego.budgets.sensitivity import Sense, by_channel
from model_lego.graph import ChannelGraph, Layer

#: A layer with more channels takes several at once.
STEPS = 512
#: Where the error is so small a share of what it was, the rest of the channels are not worth anything.
ENOUGH = 1e-7


def reconstruction(model: nn.Module, graph: ChannelGraph, senses: Mapping[str, Sense]) -> Tensor:
    """Score every channel by the mean squared change of the logits that it keeps from happening, over all its readers.

    One number a channel of the graph. Depthwise layers are left out: their channels go on to the next reader.
    """
    scores = torch.zeros(graph.width, dtype=torch.float64)
    for layer in graph.layers:
        if layer.depthwise:
            continue
        weight = layer.window.by_output(graph.program.tensor(model, layer.weight).detach().double().cpu())
        sense = senses[layer.name]
        worth = sense.sensitivity.reshape(layer.groups, -1)
        order, _ = by_channel(layer.inputs)
        for group, places in enumerate(_groups(layer, sense.channels)):
            gains = gains_of(
                sense.covariance[places][:, places],
                _square(weight[group] if layer.groups > 1 else weight[0][:, order], worth[group], len(places)),
            )
            scores.index_add_(0, sense.channels[places], gains)
    return scores


def gains_of(covariance: Tensor, square: Tensor) -> Tensor:
    """What each channel lowers tr(square @ covariance) by as it is taken, the best first; both channels x channels.

    Zero for channels that are not needed.
    """
    left, product = covariance.clone(), square @ covariance
    total = float(product.diagonal().sum())
    gains = torch.zeros(len(left), dtype=torch.float64)
    free = torch.ones(len(left), dtype=torch.bool)
    floor = 1e-6 * float(left.diagonal().max())
    count = math.ceil(len(left) / STEPS)
    for _ in range(STEPS):
        variance = left.diagonal()
        gain = torch.where(free & (variance > floor), (left * product).sum(0) / variance.clamp(min=1e-300), 0.0)
        best, places = gain.topk(count)
        places = places[best > ENOUGH * total]
        if not len(places):
            break
        gains[places], free[places] = gain[places], False
        rows = left[places].clone()  # of channels taken together one may follow from the others: no inverse
        solved = torch.linalg.pinv(rows[:, places], atol=floor * 1e-3, hermitian=True) @ rows
        product -= product[:, places] @ solved
        left -= rows.T @ solved
    return gains


def _groups(layer: Layer, channels: Tensor) -> list[Tensor]:
    """For each group of a layer the places of its inputs among `channels`."""
    if layer.groups == 1:
        return [torch.arange(len(channels))]
    place = torch.zeros(int(channels.max()) + 1, dtype=torch.int64)
    place[channels] = torch.arange(len(channels))
    return list(place[layer.inputs].chunk(layer.groups))


def _square(weight: Tensor, worth: Tensor, channels: int) -> Tensor:
    """W' diag(worth) W, channels x channels, of a weight outputs x inputs x taps; summed over a channel's taps."""
    weight = weight.reshape(len(weight), channels, -1)  # the positions of a channel count as taps
    square = weight.new_zeros(channels, channels)
    for tap in weight.unbind(2):
        square += tap.T @ (worth[:, None] * tap)
    return square

"""What each channel costs at the widths that a network has now: parameters, multiply-adds, bytes, and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from model_lego.graph.channels import Axis, ChannelGraph, Layer
from model_lego.graph.cost import counted_tensors, layer_macs, position_macs
from model_lego.latency.network_times import NetworkTimes
from model_lego.parts.origin import Cost

#: The rows of a table of prices, named as in `Cost`; behind them the share of the source's time, where that is known.
COSTS = ("parameters", "macs", "bytes")
TIME = "milliseconds"


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A tensor: its shape, the axes along which channels lie, and what one of its numbers costs."""

    shape: tuple[int, ...]
    axes: dict[int, Axis]
    parameters: int
    bytes: int


class PriceList:
    """Gives the costs that go with each channel, as the other channels are kept."""

    def __init__(self, model: nn.Module, graph: ChannelGraph, times: NetworkTimes | None = None) -> None:
        self.times = times
        tensors = [
            _Held(
                tuple(tensor.shape),
                dict(graph.axes[name]),
                int(isinstance(tensor, nn.Parameter)),
                tensor.element_size(),
            )
            for name, tensor in counted_tensors(model, graph)
            if name in graph.axes
        ]
        self.tensors = [held for held in tensors if len(held.axes) > 1]
        self.fixed = torch.zeros(len(COSTS), graph.width, dtype=torch.float64)  # whatever the other channels are
        for held in tensors:
            if len(held.axes) == 1:
                _charge(self.fixed, held, held.shape)
        for channels, macs in position_macs(graph):
            _add(self.fixed[1], channels, macs / len(channels))
        self.layers: list[tuple[Layer, int]] = layer_macs(graph)

    def of(self, keep: Tensor) -> Tensor:
        """Costs x channels: what a network that keeps these channels saves if one more goes."""
        prices = self.fixed.clone()
        counts: dict[int, int] = {}  # the axes of a graph share their tensors of channels

        def kept(channels: Tensor) -> int:
            if id(channels) not in counts:
                counts[id(channels)] = max(1, int(keep[channels].sum()))  # a cut leaves one
            return counts[id(channels)]

        for held in self.tensors:
            left: list[float] = list(held.shape)
            for dim, axis in held.axes.items():
                left[dim] = kept(axis.channels) / axis.groups
            _charge(prices, held, left)
        for layer, macs in self.layers:
            if layer.depthwise:
                _add(prices[1], layer.outputs, macs / len(layer.outputs))
                continue
            pair = macs / (len(layer.inputs) * len(layer.outputs))
            _add(prices[1], layer.inputs, pair * kept(layer.outputs))
            _add(prices[1], layer.outputs, pair * kept(layer.inputs))
        return prices if self.times is None else torch.cat([prices, self.times.slopes(keep)[None]])


def _charge(prices: Tensor, held: _Held, left: Sequence[float]) -> None:
    """Add what a tensor costs for each channel of it, with so much left along each dimension."""
    for dim, axis in held.axes.items():
        beside = prod([*left[:dim], *left[dim + 1 :]]) / axis.groups
        _add(prices[0], axis.channels, beside * held.parameters)
        _add(prices[2], axis.channels, beside * held.bytes)


def _add(prices: Tensor, channels: Tensor, price: float) -> None:
    prices.index_add_(0, channels, torch.full((len(channels),), price, dtype=torch.float64))


def shares(prices: Tensor, whole: Cost, counted: tuple[str, ...]) -> Tensor:
    """Some of the costs of each channel in parts of the whole network's, added up: one number a channel."""
    rows = [
        prices[-1] if cost == TIME else prices[COSTS.index(cost)] / max(1, getattr(whole, cost)) for cost in counted
    ]
    return torch.stack(rows).sum(0)

"""What a network takes on a device as its channels are kept, told by a table of its layers."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from model_lego.errors import BadConfig
from model_lego.graph.channels import ChannelGraph, Layer
from model_lego.latency.chains import Chain, chains, rest
from model_lego.latency.device import Device
from model_lego.latency.table import LatencyTable, LayerTimes


@dataclass(frozen=True, slots=True, eq=False)
class _Timed:
    """A layer, its times by width, and how many numbers the rest of the network writes for each of its channels."""

    layer: Layer
    times: LayerTimes
    beside: float

    def at(self, inputs: int, outputs: int) -> Tensor:
        """As `LayerTimes.at`."""
        return self.times.at(0 if self.layer.depthwise else inputs, outputs)


@dataclass(frozen=True, eq=False)
class NetworkTimes:
    """Times of a network on a device, in milliseconds, a number for each of the device's batches.

    What its layers take is added up: with what the whole network took, once, it is known what the rest of it takes for
    each number that is written, or by how much the layers take less among each other than alone.
    """

    table: LatencyTable
    layers: tuple[_Timed, ...]
    width: int
    measured: tuple[float, ...] | None

    @property
    def device(self) -> Device:
        """Where the times were measured."""
        return self.table.device

    def of(self, keep: Tensor) -> Tensor:
        """What the network takes that keeps these channels (one bool a channel): one number a batch."""
        sums, beside = self._sums(keep)
        return self._overhead + self._scale * sums + self._each * beside

    @cached_property
    def whole(self) -> Tensor:
        """What the uncut network takes."""
        return self.of(torch.ones(self.width, dtype=torch.bool))

    def slopes(self, keep: Tensor) -> Tensor:
        """By which share of the whole network's time it gets slower for one more of a channel: one number a channel.

        Of several batches the mean of their shares.
        """
        prices = torch.zeros(self.width, dtype=torch.float64)
        for timed in self.layers:
            layer = timed.layer
            _, by_input, by_output = timed.at(_kept(keep, layer.inputs), _kept(keep, layer.outputs))
            out = float(((self._scale * by_output + self._each * timed.beside) / self.whole).mean())
            _add(prices, layer.outputs, out)
            if not layer.depthwise:
                _add(prices, layer.inputs, float((self._scale * by_input / self.whole).mean()))
        return prices

    @cached_property
    def _overhead(self) -> Tensor:
        count = len(self.device.batches)
        return torch.tensor(self.table.overhead or [0.0] * count, dtype=torch.float64)

    @cached_property
    def _correction(self) -> tuple[Tensor, Tensor]:
        """By what the layers' times are multiplied, and what each number takes that the rest writes."""
        sums, beside = self._sums(torch.ones(self.width, dtype=torch.bool))
        nothing = torch.zeros_like(sums)
        if self.measured is None:
            return nothing + 1, nothing
        took = (torch.tensor(self.measured, dtype=torch.float64) - self._overhead).clamp(min=1e-9)
        scale, left = took / sums.clamp(min=1e-30), took - sums
        if not beside:
            return scale, nothing
        more = left > 0
        return torch.where(more, 1.0, scale), torch.where(more, left / beside, nothing)

    @property
    def _scale(self) -> Tensor:
        return self._correction[0]

    @property
    def _each(self) -> Tensor:
        return self._correction[1]

    def _sums(self, keep: Tensor) -> tuple[Tensor, float]:
        """What the layers take, one number a batch, and how many numbers the rest writes for an image."""
        sums, beside = torch.zeros(len(self.device.batches), dtype=torch.float64), 0.0
        for timed in self.layers:
            outputs = _kept(keep, timed.layer.outputs)
            sums = sums + timed.at(_kept(keep, timed.layer.inputs), outputs)[0]
            beside += timed.beside * outputs
        return sums, beside


def network_times(graph: ChannelGraph, table: LatencyTable) -> NetworkTimes:
    """The times of a network by a table; raises BadConfig for a table that lacks some of its layers."""
    found = chains(graph)
    if gone := table.lacks(needs(found)):
        names = [chain.layer.name for chain in found if chain.kind == gone[0]]
        one = max((chain for chain in found if chain.kind == gone[0]), key=lambda chain: len(chain.layer.outputs))
        raise BadConfig(
            f"the latency table ({table.device} on {table.processor}) was measured for another network: it lacks "
            f"{len(gone)} of {len({chain.kind for chain in found})} kinds of layers, such as that of '{names[0]}', "
            f"{gone[0]}, {len(one.layer.inputs)} to {len(one.layer.outputs)} channels; measure one for this network"
        )
    beside = rest(graph, found)
    layers = tuple(
        _Timed(chain.layer, table.layers[chain.kind], beside.get(chain.layer.node, 0) / len(chain.layer.outputs))
        for chain in found
    )
    return NetworkTimes(table, layers, graph.width, table.networks.get(mark_of(found)))


def needs(found: list[Chain]) -> Iterator[tuple[str, int, int]]:
    """Kinds of layers and how wide they are: inputs and outputs."""
    for chain in found:
        yield chain.kind, len(chain.layer.inputs), len(chain.layer.outputs)


def mark_of(found: list[Chain]) -> str:
    """What tells networks apart that do not take the same time: all their layers and widths, as a digest."""
    told = "\n".join(f"{kind} {inputs} {outputs}" for kind, inputs, outputs in needs(found))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _kept(keep: Tensor, channels: Tensor) -> int:
    return max(1, int(keep[channels].sum()))  # a cut leaves one


def _add(prices: Tensor, channels: Tensor, price: float) -> None:
    prices.index_add_(0, channels, torch.full((len(channels),), price, dtype=torch.float64))

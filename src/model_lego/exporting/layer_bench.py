"""Times of layers alone on a device of this machine: what each takes by width, and what width it takes best."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from model_lego.exporting.layer_alone import Widened
from model_lego.exporting.runtimes import Runtime
from model_lego.exporting.turns import undisturbed
from model_lego.graph.channels import ChannelGraph
from model_lego.latency.alignment import PROBED, multiple_of
from model_lego.latency.chains import Chain
from model_lego.latency.device import Device
from model_lego.latency.table import LayerTimes

#: Shares of its largest width at which a layer is timed, and those where each file has to be compiled.
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
FEW_SHARES = (1 / 8, 1 / 2, 1.0)
#: Turns that each file has.
ROUNDS = 5
#: Bytes of weights and maps of the files that are open at once.
MEMORY = 2**30


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A width of a chain: with the chain, or only what stands around it."""

    inputs: int
    outputs: int
    whole: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class LayerBench:
    """Times chains of a network on a device; its files are made in a folder."""

    graph: ChannelGraph
    runtime: Runtime
    device: Device
    folder: Path

    def overhead(self, found: Sequence[Chain]) -> tuple[float, ...]:
        """What a network takes that does nothing, one number a batch."""
        first = next((chain for chain in found if chain.first), found[0])
        return tuple(times[0] for times in self._times(first, [_Wanted(len(first.layer.inputs), 1, whole=False)]))

    def multiple(self, found: Sequence[Chain]) -> int:
        """To multiples of what number widths are best rounded up: by the layer with the most numbers to work through.

        It is timed with as many outputs, and with as many inputs: a channel is one of a layer and one of the next.
        """
        dense = [chain for chain in found if not chain.first and chain.layer.groups == 1] or list(found)
        chain = max(dense, key=_work)
        widths = PROBED[:: 2 if self.runtime.compiles else 1]
        pairs = [(PROBED[-1], width) for width in widths]
        if not chain.first and chain.layer.groups == 1:
            pairs += [(width, PROBED[-1]) for width in widths]
        taken = self._beyond(chain, pairs)[-1]  # the largest batch has the least of what is done once
        return multiple_of(widths, [sum(taken[place :: len(widths)]) for place in range(len(widths))])

    def layer(self, same: Sequence[Chain], multiple: int) -> LayerTimes:
        """Times of a kind of layer, up to the widest of the network."""
        chain, unit = same[0], multiple
        layer = chain.layer
        inputs: tuple[int, ...] = (0,)
        most_in, most_out = (max(widths) for widths in zip(*map(_widths, same), strict=True))
        if layer.groups > 1 and not layer.depthwise:
            unit = math.lcm(multiple, layer.groups)
        if layer.depthwise:
            each = len(layer.outputs) // len(layer.inputs)
            outputs = self._grid(most_out, math.lcm(multiple, each))
            pairs = [(width // each, width) for width in outputs]
        else:
            outputs = self._grid(most_out, unit)
            inputs = (most_in,) if chain.first else self._grid(most_in, unit)
            pairs = [(own, width) for own in inputs for width in outputs]
        wide = len(outputs)
        batches = self._beyond(chain, pairs)
        return LayerTimes(
            inputs,
            outputs,
            tuple(tuple(tuple(row[start : start + wide]) for start in range(0, len(row), wide)) for row in batches),
        )

    def _grid(self, most: int, unit: int) -> tuple[int, ...]:
        """Widths up to the largest, multiples of a unit but for the largest itself."""
        shares = FEW_SHARES if self.runtime.compiles else SHARES
        rounded = {min(most, max(unit, round(share * most / unit) * unit)) for share in shares}
        return tuple(sorted(rounded | {min(most, unit), most}))

    def _beyond(self, chain: Chain, pairs: Sequence[tuple[int, int]]) -> list[list[float]]:
        """What a chain takes at pairs of widths beyond what stands around it: batches x pairs."""
        before = list(dict.fromkeys(inputs for inputs, _ in pairs))
        wanted = [_Wanted(*pair) for pair in pairs] + [_Wanted(inputs, 1, whole=False) for inputs in before]
        found = []
        for times in self._times(chain, wanted):
            around = dict(zip(before, times[len(pairs) :], strict=True))
            own = zip(pairs, times[: len(pairs)], strict=True)
            found.append([max(0.0, time - around[inputs]) for (inputs, _), time in own])
        return found

    def _times(self, chain: Chain, wanted: Sequence[_Wanted]) -> list[list[float]]:
        """Milliseconds: batches x what is wanted, so many files at once as fit into memory."""
        rows: list[list[float]] = [[] for _ in self.device.batches]
        files = Widened(chain, self.graph, self.runtime, self.folder)
        for some in self._portions(chain, wanted):
            open_ = [files.file(each.inputs, each.outputs, whole=each.whole) for each in some]
            for row, more in zip(rows, undisturbed(open_, self.device, ROUNDS), strict=True):
                row += more
            for file in open_:
                file.file.unlink(missing_ok=True)  # a width may be wanted twice
        for template in self.folder.iterdir():
            template.unlink()
        return rows

    def _portions(self, chain: Chain, wanted: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
        """What is wanted, in parts that fit into memory."""
        some, size = list[_Wanted](), 0
        for each in wanted:
            own = self._bytes(chain, each)
            if some and size + own > MEMORY:
                yield some
                some, size = [], 0
            some.append(each)
            size += own
        yield some

    def _bytes(self, chain: Chain, wanted: _Wanted) -> int:
        """What a file takes that runs, about: its weights, and its maps twice."""
        layer, pixels = chain.layer, prod(chain.size) * max(self.device.batches)
        weights = wanted.inputs * wanted.outputs * prod(layer.window.kernel) // layer.groups
        return 4 * ((weights if wanted.whole else 0) + 2 * pixels * (wanted.inputs + wanted.outputs))


def _widths(chain: Chain) -> tuple[int, int]:
    return len(chain.layer.inputs), len(chain.layer.outputs)


def _work(chain: Chain) -> int:
    """Multiply-adds of a chain, about."""
    return prod(_widths(chain)) * prod(chain.size) * prod(chain.layer.window.kernel)

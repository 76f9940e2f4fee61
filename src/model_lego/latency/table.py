"""The noun LatencyTable: times of kinds of layers by width, as they were measured on a device; and its file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from model_lego.errors import BadConfig
from model_lego.latency.device import Device
from model_lego.latency.smoothing import between, monotone


@dataclass(frozen=True)
class LayerTimes:
    """Milliseconds of a kind of layer: batches x inputs x outputs, at the widths that were measured, in their order.

    A depthwise layer, whose inputs are its outputs, has the one input width 0.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    milliseconds: tuple[tuple[tuple[float, ...], ...], ...]

    def __post_init__(self) -> None:
        for widths in (self.inputs, self.outputs):
            if not widths or list(widths) != sorted(set(widths)) or widths[0] < 0:
                raise ValueError("widths are numbers from 0 on, each larger than the one before")
        rows = [row for batch in self.milliseconds for row in batch]
        square = all(len(batch) == len(self.inputs) for batch in self.milliseconds)
        if not square or any(len(row) != len(self.outputs) for row in rows):
            raise ValueError("the times are not batches x inputs x outputs")
        if any(not 0 <= time < float("inf") for row in rows for time in row):
            raise ValueError("times are numbers from 0 on")

    @cached_property
    def smooth(self) -> Tensor:
        """Times that never fall as a layer gets wider: batches x inputs x outputs."""
        return monotone(torch.tensor(self.milliseconds, dtype=torch.float64))

    def reaches(self, inputs: int, outputs: int) -> bool:
        """Whether layers as wide as this were measured."""
        return (inputs <= self.inputs[-1] or self.inputs == (0,)) and outputs <= self.outputs[-1]

    def at(self, inputs: float, outputs: float) -> Tensor:
        """Times and their slopes by input and by output channel at these widths: 3 x batches."""
        row, down, per_input = between(self.inputs, inputs)
        column, right, per_output = between(self.outputs, outputs)
        corners = self.smooth[:, row : row + 2, column : column + 2]
        corners = corners.expand(-1, 2, -1) if corners.shape[1] == 1 else corners
        corners = corners.expand(-1, -1, 2) if corners.shape[2] == 1 else corners
        across = corners[:, :, 0] + right * (corners[:, :, 1] - corners[:, :, 0])
        along = corners[:, 0] + down * (corners[:, 1] - corners[:, 0])
        return torch.stack(
            [
                across[:, 0] + down * (across[:, 1] - across[:, 0]),
                (across[:, 1] - across[:, 0]) * per_input,
                (along[:, 1] - along[:, 0]) * per_output,
            ]
        )


@dataclass(frozen=True)
class LatencyTable:
    """What layers take on a device, by their kinds, and what whole networks took, by what they are.

    `version` is that of the runtime. Widths are best multiples of `multiple`: up to the next one a wider layer takes no
    longer. `overhead` are milliseconds of a network that does nothing, a number a batch.
    """

    device: Device
    version: str
    processor: str
    multiple: int = 1
    overhead: tuple[float, ...] = ()
    layers: Mapping[str, LayerTimes] = field(default_factory=dict)
    networks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.device.batches)
        if self.multiple < 1 or len(self.overhead) not in (0, count):
            raise ValueError("the multiple is a number from 1 on, and there is an overhead for each batch")
        for kind, times in self.layers.items():
            if len(times.milliseconds) != count:
                raise ValueError(f"'{kind}' has times of {len(times.milliseconds)} batches, the device has {count}")
        for name, taken in self.networks.items():
            if len(taken) != count or any(time <= 0 for time in taken):
                raise ValueError(f"network {name} has no time for each batch")

    def lacks(self, needed: Iterable[tuple[str, int, int]]) -> list[str]:
        """Which kinds are not there at the widths that are needed (kind, inputs, outputs)."""
        wanting = (
            kind for kind, *widths in needed if kind not in self.layers or not self.layers[kind].reaches(*widths)
        )
        return list(dict.fromkeys(wanting))

    def also(self, layers: Mapping[str, LayerTimes], networks: Mapping[str, tuple[float, ...]]) -> "LatencyTable":
        """The same with more layers and networks."""
        return replace(self, layers={**self.layers, **layers}, networks={**self.networks, **networks})


_FILES = TypeAdapter(LatencyTable)


def save_latency_table(table: LatencyTable, file: str | Path) -> None:
    """Write a table as JSON, for another machine that prepares networks for this one; a file there is replaced."""
    place = Path(file)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    fresh.write_bytes(_FILES.dump_json(table, indent=1) + b"\n")
    fresh.replace(place)


def load_latency_table(file: str | Path) -> LatencyTable:
    """Read a table that `save_latency_table` wrote; raises BadConfig for what is none, with the place and what for."""
    try:
        return _FILES.validate_json(Path(file).read_bytes())
    except OSError as error:
        raise BadConfig(f"the latency table '{file}' cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise BadConfig(f"'{file}' is no latency table: {where}: {first['msg']}") from error

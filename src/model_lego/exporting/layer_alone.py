"""A chain of a network on its own, at any width, as a module that is timed: weights are drawn, since none matter."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from model_lego.exporting.runtimes import Runtime
from model_lego.exporting.taken import EXAMPLE, Writable
from model_lego.exporting.turns import Timeable, written
from model_lego.graph.channels import ChannelGraph
from model_lego.graph.rule import WEIGHT_AT
from model_lego.latency.chains import Chain

#: Widths of the file that others are made of, in which they stand for inputs and outputs: primes that no kernel has.
INPUTS, OUTPUTS = 53, 61

_CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_POOLS: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class LayerAlone(nn.Module):
    """A chain between a convolution from one channel and a pool that takes one pixel of each map.

    So it meets maps as the runtime lays them out, and leaves them so. Without a chain, what these two take. A chain
    that reads the images or no maps stands alone.
    """

    def __init__(self, chain: Chain, graph: ChannelGraph, widths: tuple[int, int], *, whole: bool = True) -> None:
        super().__init__()
        self.steps = _steps(chain, graph, widths) if whole else []
        for place, (_, arguments) in enumerate(self.steps):
            for position, given in enumerate(arguments):
                if isinstance(given, Tensor):
                    self.register_buffer(f"of_{place}_{position}", given)
        sides, maps = len(chain.size), not chain.layer.window.linear
        before = maps and not chain.first
        kind = {"bias": False, "dtype": _type(chain)}
        self.before = _CONVOLUTIONS[sides](1, widths[0], 1, **kind) if before else nn.Identity()
        self.maps = maps

    def forward(self, values: Tensor) -> Tensor:
        """What comes out of the chain, of maps one pixel."""
        values = self.before(values)
        for place, (target, arguments) in enumerate(self.steps):
            given = [values, *arguments[1:]]
            for position, one in enumerate(arguments):
                if isinstance(one, Tensor):
                    given[position] = getattr(self, f"of_{place}_{position}")
            values = target(*given)
        if not self.maps:
            return values + 1 if not self.steps else values
        sides = tuple(int(side) for side in values.shape[2:])
        pixel: Tensor = _POOLS[len(sides)](values, kernel_size=1, stride=sides)
        return pixel


def _steps(chain: Chain, graph: ChannelGraph, widths: tuple[int, int]) -> list[tuple[Any, list[Any]]]:
    """Each operator of a chain with its arguments at these widths; the first is what comes before."""
    program, layer, (inputs, outputs) = graph.program, chain.layer, widths
    steps = []
    for node in chain.nodes:
        rule, arguments = graph.rules[node.target], list(node.args)
        for place, one in enumerate(arguments):
            if isinstance(one, fx.Node) and one.op == "placeholder" and one.name != program.image:
                shape = [int(side) for side in one.meta["val"].shape]
                if node.name == layer.node and place == WEIGHT_AT:
                    window = layer.window
                    shape[window.output_axis] = outputs
                    shape[window.input_axis] = 1 if layer.depthwise else inputs // layer.groups
                else:
                    shape = [outputs if side == len(layer.outputs) else side for side in shape]
                arguments[place] = torch.rand(shape).to(one.meta["val"].dtype)
        if layer.depthwise and rule.groups_at is not None and node.name == layer.node:
            arguments[rule.groups_at] = inputs
        steps.append((node.target, arguments))
    return steps


def example(chain: Chain, inputs: int) -> Tensor:
    """What the module of a chain takes."""
    if chain.layer.window.linear:
        return torch.zeros(EXAMPLE, *chain.size, inputs, dtype=_type(chain))
    return torch.zeros(EXAMPLE, inputs if chain.first else 1, *chain.size, dtype=_type(chain))


def _type(chain: Chain) -> torch.dtype:
    given: torch.dtype = chain.nodes[0].meta["val"].dtype
    return given


@dataclass(frozen=True, slots=True, eq=False)
class Widened:
    """Files of a chain at many widths for a runtime, in a folder."""

    chain: Chain
    graph: ChannelGraph
    runtime: Runtime
    folder: Path

    def file(self, inputs: int, outputs: int, *, whole: bool = True) -> Timeable:
        """The file at these widths, with the chain, or only of what stands around it."""
        name = f"{inputs}-{outputs if whole else 'alone'}"
        if self.runtime.format.name != "onnx":
            return self._written(inputs, outputs, name, whole=whole)
        marks = self._marks()
        template = self._written(*marks, "whole" if whole else "alone", whole=whole)
        file = self.folder / f"{name}.onnx"
        if not file.exists():
            sides = {marks[1]: outputs, marks[0]: inputs}
            groups = 1 if self.chain.layer.depthwise else self.chain.layer.groups
            if groups > 1:
                sides[marks[0] // groups] = inputs // groups
            _widened(template.file, file, sides)
        shape = example(self.chain, inputs).shape[1:]
        return Timeable(self.runtime, file, tuple(shape), template.type)

    def _marks(self) -> tuple[int, int]:
        """Widths that stand for others: those that a network cannot change, such as colours, stay."""
        layer = self.chain.layer
        if layer.depthwise:
            return INPUTS, INPUTS * (len(layer.outputs) // len(layer.inputs))
        return (len(layer.inputs) if self.chain.first else INPUTS * layer.groups), OUTPUTS * layer.groups

    def _written(self, inputs: int, outputs: int, name: str, *, whole: bool) -> Timeable:
        module = LayerAlone(self.chain, self.graph, (inputs, outputs), whole=whole).eval()
        return written(Writable(module, example(self.chain, inputs)), self.runtime, self.folder / name)


def _widened(template: Path, file: Path, sides: dict[int, int]) -> None:
    """An ONNX file whose tensors have other sides, without another export: that takes seconds."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(template)
    for each in model.graph.initializer:
        if any(side in sides for side in each.dims):
            shape, old = [sides.get(side, side) for side in each.dims], numpy_helper.to_array(each)
            each.CopyFrom(numpy_helper.from_array(torch.rand(shape).numpy().astype(old.dtype), each.name))
    for attribute in (one for node in model.graph.node for one in node.attribute if one.name == "group"):
        attribute.i = sides.get(attribute.i, attribute.i)
    values = (*model.graph.input, *model.graph.output)
    for dim in (dim for value in values for dim in value.type.tensor_type.shape.dim if dim.dim_value in sides):
        dim.dim_value = sides[dim.dim_value]
    del model.graph.value_info[:]
    onnx.save(model, file)

"""A network that is walked through operator by operator, over many chunks of images."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph.channels_last import COPIES
from model_lego.graph.nodes import writes
from model_lego.graph.program import Program

aten = torch.ops.aten

#: Activations that write over what they read, and operators whose result is no view of another value.
IN_PLACE: Mapping[Any, Any] = {
    aten.relu.default: aten.relu_.default,
    aten.hardtanh.default: aten.hardtanh_.default,
    aten.silu.default: aten.silu_.default,
}
FRESH = {aten.batch_norm.default, aten.conv2d.default}


class Side:
    """One of the two networks that run side by side, and its values that are still to be read, by chunk of images."""

    def __init__(self, model: nn.Module, program: Program) -> None:
        self.model, self.program = model, program
        self.calls = [node for node in program.nodes if node.op == "call_function"]
        self.last_use = _last_uses(program)
        self.operators = {node: self._operator(node) for node in self.calls}
        self.values: dict[fx.Node, dict[int, Any]] = {}

    def start(self, number: int, images: Tensor) -> None:
        """Give it a chunk of images."""
        for node in self.program.module.graph.find_nodes(op="placeholder"):
            if node.name == self.program.image:
                self.values.setdefault(node, {})[number] = images

    def arguments(self, node: fx.Node, number: int) -> tuple[Any, Any]:
        """What an operator reads of a chunk."""

        def value(argument: fx.Node) -> Any:
            if argument.op == "placeholder" and argument.name != self.program.image:
                return self.program.tensor(self.model, self.program.tensors[argument.name])
            return self.values[argument][number]

        return fx.node.map_arg(node.args, value), fx.node.map_arg(node.kwargs, value)

    def _operator(self, node: fx.Node) -> Callable[..., Any]:
        """How to run an operator: in place where nothing else reads what it reads, which saves a map and its memory."""
        operator: Callable[..., Any] = COPIES.get(node.target, node.target)  # type: ignore[arg-type]
        dying = {value for value in self.last_use.get(node, ()) if value.target in FRESH}
        return IN_PLACE.get(operator, operator) if dying.intersection(node.all_input_nodes) else operator

    def ahead(self, node: fx.Node, number: int, layers: Collection[str]) -> Any:
        """A value of a chunk, held or computed ahead of its turn; None where that takes a layer, or is written over."""
        if node.op == "placeholder" and node.name != self.program.image:
            return self.program.tensor(self.model, self.program.tensors[node.name])
        if number in self.values.get(node, {}):
            return self.values[node][number]
        if node.op != "call_function" or node.name in layers or writes(node):
            return None
        read = {argument: self.ahead(argument, number, layers) for argument in node.all_input_nodes}
        if any(value is None for value in read.values()):
            return None
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), read.__getitem__)
        return COPIES.get(node.target, node.target)(*args, **kwargs)  # type: ignore[operator]

    def run(self, node: fx.Node, number: int) -> Any:
        """Run an operator on a chunk, and forget what nothing reads any more."""
        args, kwargs = self.arguments(node, number)
        result = self.operators[node](*args, **kwargs)
        self.values.setdefault(node, {})[number] = result
        for dead in self.last_use.get(node, ()):
            del self.values[dead][number]
        return result


def _last_uses(program: Program) -> dict[fx.Node, list[fx.Node]]:
    """For each node the values that it is the last to read."""
    last: dict[fx.Node, fx.Node] = {}
    for node in program.nodes:
        for argument in node.all_input_nodes:
            last[argument] = node
        if node.op == "call_function" and not node.users:
            last[node] = node
    dying: dict[fx.Node, list[fx.Node]] = {}
    for value, user in last.items():
        if user.op != "output" and (value.op == "call_function" or value.name == program.image):
            dying.setdefault(user, []).append(value)
    return dying

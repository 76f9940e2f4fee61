"""Where the intercept of a refitted layer goes: its bias, the mean of the BatchNorm behind, or a bias it is given.

Where what a layer writes is summed along the edges of a graph, all this is behind the sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import Layer
from model_lego.graph.node_rows import carried_by
from model_lego.graph.program import Program
from model_lego.graph.rule import BIAS_AT, OpRule

aten = torch.ops.aten


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """A vector that takes the intercept of a layer: itself (`sign` 0), or added to what the source has there."""

    vector: Tensor
    sign: int

    def settle(self, intercept: Tensor, source: "Home | None", kept: Tensor) -> None:
        """Put an intercept there, whatever an earlier repair put there; `kept` are its places in the source's."""
        intercept = intercept.to(self.vector)
        if self.sign and source is not None:
            intercept = source.vector[kept] + self.sign * intercept
        self.vector.copy_(intercept)


def home_of(model: nn.Module, program: Program, rules: Mapping[object, OpRule], node: fx.Node) -> Home | None:
    """Find what takes the intercept of the layer whose operator is `node`; None where nothing does."""
    end = carried_by(program, rules, node).end
    bias = _tensor(model, program, node.args[2]) if end is node and len(node.args) > 2 else None
    if bias is not None:
        return Home(bias, 0)
    added = _tensor(model, program, _added_behind(end, node))
    if added is not None:  # the fitted values are those in front of it
        return Home(added, 1)
    mean = _tensor(model, program, _mean_behind(end))
    return None if mean is None else Home(mean, -1)


def give_biases(
    model: nn.Module, program: Program, rules: Mapping[object, OpRule], layers: Sequence[Layer]
) -> tuple[str, ...]:
    """Give a zero bias to layers that have neither one nor a BatchNorm directly behind them; tells their paths.

    Layers whose operator takes no bias, transposed ones (they are not refitted), those whose weight is used twice or is
    not a module's with an empty place for a bias, and those whose outputs are summed along edges, which would sum a
    bias as well, stay as they are.
    """
    nodes = {node.name: node for node in program.nodes if node.op == "call_function"}
    weights = [layer.weight for layer in layers]
    paths = []
    for layer in layers:
        path, _, attribute = layer.weight.rpartition(".")
        shared = weights.count(layer.weight) > 1 or len(program.aliases.get(layer.weight, (layer.weight,))) > 1
        node = nodes[layer.node]
        takes_one = BIAS_AT in rules[node.target].weights and not layer.window.transposed
        homeless = layer.bias is None and _mean_behind(node) is None and carried_by(program, rules, node).end is node
        wanted = takes_one and homeless and not shared
        if wanted and attribute == "weight" and has_empty_bias(model.get_submodule(path)):
            give_bias(model.get_submodule(path))
            paths.append(path)
    return tuple(paths)


def has_empty_bias(module: nn.Module) -> bool:
    """Whether a module was built with `bias=False`."""
    return "bias" in module._parameters and module._parameters["bias"] is None


def give_bias(module: nn.Module) -> None:
    """Give a module (convolution or linear) a bias of zeros."""
    weight = module._parameters["weight"]
    assert weight is not None  # the caller found the layer by it
    module._parameters["bias"] = nn.Parameter(weight.new_zeros(weight.shape[0]), requires_grad=weight.requires_grad)


def _tensor(model: nn.Module, program: Program, argument: Any) -> Tensor | None:
    held = isinstance(argument, fx.Node) and argument.name in program.tensors
    return program.tensor(model, program.tensors[argument.name]) if held else None


def _mean_behind(node: fx.Node) -> fx.Node | None:
    """The running mean of the BatchNorm that alone reads a layer's output, where no other layer uses that mean."""
    followers = list(node.users)
    if len(followers) != 1 or followers[0].target != aten.batch_norm.default:
        return None
    mean = followers[0].args[3]
    return mean if isinstance(mean, fx.Node) and len(mean.users) == 1 else None


def _added_behind(end: fx.Node, layer: fx.Node) -> fx.Node | None:
    """The vector that is added to a sum along edges, and to nothing else."""
    followers = list(end.users)
    if end is layer or len(followers) != 1 or followers[0].target != aten.add.Tensor:
        return None
    (added,) = [argument for argument in followers[0].args if argument is not end] or [None]
    alone = isinstance(added, fx.Node) and len(added.users) == 1 and added.meta["val"].dim() == 1
    return added if alone else None  # type: ignore[return-value]

"""What a network costs: parameters, multiply-adds for one image, bytes."""

from collections.abc import Mapping
from math import prod

from torch import fx, nn

from model_lego.component import Cost
from model_lego.graph.program import Program
from model_lego.graph.rule import OpRule
from model_lego.graph.rules import RULES
from model_lego.graph.walk import concrete


def cost_of(model: nn.Module, program: Program, *, rules: Mapping[object, OpRule] = RULES) -> Cost:
    """Count a network; one multiply-add counts once, only channel-mixing operators are counted."""
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}.values()
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        macs=sum(_macs(node, rules[node.target]) for node in program.nodes if _mixes(node, rules)),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )


def _mixes(node: fx.Node, rules: Mapping[object, OpRule]) -> bool:
    rule = rules.get(node.target)
    return rule is not None and rule.window is not None


def _macs(node: fx.Node, rule: OpRule) -> int:
    """Multiply-adds of a mixing operator for one image."""
    shapes = [concrete(arg.meta["val"].shape) if isinstance(arg, fx.Node) else None for arg in node.args]
    assert rule.window is not None  # a mixing operator has one
    assert shapes[0] is not None
    assert shapes[1] is not None
    window = rule.window(list(node.args), shapes)
    places = shapes[0] if window.transposed else concrete(node.meta["val"].shape)
    return prod(places[1:]) * prod(shapes[1][1:])  # weight.shape[1:]: channels on the other side, and taps

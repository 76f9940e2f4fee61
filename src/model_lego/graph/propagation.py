"""Carry labels through every operator of a program; what the rows report goes to a tracker."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, fx

from model_lego.errors import RefusedError, UnsupportedOpError
from model_lego.graph import labels as lab
from model_lego.graph.nodes import asserts, from_tensors, module_path, writes
from model_lego.graph.program import Program
from model_lego.graph.rule import Call, OpRule, Route, Tracker, flat_labels, without_channels

#: Operators that an export leaves out where they have nothing to do.
IDLE = (torch.ops.aten.contiguous.default,)


class Source(Tracker, Protocol):
    """A tracker that also says what images and tensors start with."""

    def image(self, shape: tuple[int, ...]) -> Tensor:
        """Labels of the images."""

    def leaf(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Labels of a parameter, buffer or constant that is used as an ordinary operand."""

    def ran(self, call: Call, rule: OpRule) -> None:
        """Hear of each call after its row has been asked."""


@dataclass(frozen=True, slots=True)
class _State:
    program: Program
    rules: Mapping[object, OpRule]
    source: Source
    values: dict[fx.Node, Any]
    weights_only: set[fx.Node]  # nodes that only ever end in the weight of a mixing operator


def carry_labels(program: Program, rules: Mapping[object, OpRule], source: Source) -> dict[fx.Node, Any]:
    """Give the labels of every value; raises UnsupportedOpError, RefusedError."""
    state = _State(program, rules, source, {}, weights_only(program, rules))
    outputs = set(program.outputs)
    for node in program.nodes:
        if node.op == "placeholder":
            _placeholder(state, node)
        elif node.op == "call_function":
            state.values[node] = _call(state, node, is_output=node in outputs)
        elif node.op != "output":
            raise RefusedError(f"the exported graph has a node of kind {node.op} ('{node.target}')")
    return state.values


def _placeholder(state: _State, node: fx.Node) -> None:
    shape = concrete(node.meta["val"].shape)
    if node.name == state.program.image:
        state.values[node] = state.source.image(shape)
        return
    node.meta["tensor_name"] = state.program.tensors[node.name]
    state.values[node] = None  # labelled when an operator wants it, see _labels


def _call(state: _State, node: fx.Node, *, is_output: bool) -> Any:
    value = node.meta.get("val")
    if isinstance(value, torch.SymInt | int | torch.SymBool | torch.SymFloat | bool | float):
        return None
    if node.target is operator.getitem:
        container, place = node.args
        return state.values[container][place]  # type: ignore[index]
    rule = state.rules.get(node.target)
    where = module_path(node)
    _refuse_hidden_writes(state, node, where)
    if rule is None and asserts(node):
        return None
    bound = rule.weights if rule is not None else ()
    args = tuple(_labels(state, arg, weight=place in bound) for place, arg in enumerate(node.args))
    values = value if isinstance(value, list | tuple) else (value,)
    call = Call(
        node=node,
        where=where,
        args=args,
        kwargs={key: _labels(state, arg, weight=False) for key, arg in node.kwargs.items()},
        shapes=tuple(_shape(arg) for arg in node.args),
        out_shapes=tuple(concrete(item.shape) for item in values if isinstance(item, Tensor)),
        tracker=state.source,
        rule=rule,
        is_output=is_output,
    )
    if node in state.weights_only or (not bound and _without_channels(call)):
        return without_channels(call)
    if rule is None:
        raise UnsupportedOpError(str(node.target), where)
    result = rule.carry(call)
    if node.target not in IDLE:
        state.source.ran(call, rule)
    return result


def _without_channels(call: Call) -> bool:
    """Whether no channel goes into an operator, so that none comes out of it, whatever it does."""
    return all(bool((labels == lab.NONE).all()) for labels in flat_labels([*call.args, *call.kwargs.values()]))


def _labels(state: _State, arg: Any, *, weight: bool) -> Any:
    """An argument with values replaced by their labels and symbolic sizes by numbers."""
    if isinstance(arg, fx.Node):
        value = arg.meta.get("val")
        if not isinstance(value, Tensor | list | tuple):
            return concrete_number(value)
        if state.values[arg] is None and isinstance(value, Tensor):
            dims = value.dim()
            if weight or arg in state.weights_only or value.numel() == 1:
                return lab.neutral(dims)
            return state.source.leaf(state.program.tensors[arg.name], concrete(value.shape))
        return state.values[arg]
    if isinstance(arg, list | tuple):
        return [_labels(state, item, weight=weight) for item in arg]
    return arg


def _shape(arg: Any) -> Any:
    if isinstance(arg, fx.Node):
        value = arg.meta.get("val")
        return concrete(value.shape) if isinstance(value, Tensor) else None
    if isinstance(arg, list | tuple):
        return [_shape(item) for item in arg]
    return None


def weights_only(program: Program, rules: Mapping[object, OpRule]) -> set[fx.Node]:
    """Values made of tensors alone that end in weights of mixing operators: computed weights and what leads there."""
    constant = from_tensors(program.module.graph, program.image)
    found: set[fx.Node] = set()
    for node in reversed(program.nodes):
        users = [user for user in node.users if not asserts(user)]
        read = users or writes(node)  # a write into a part of such a value has no users
        if node in constant and read and all(_as_weight(user, node, rules, found) for user in users):
            found.add(node)
    return found


def _as_weight(user: fx.Node, node: fx.Node, rules: Mapping[object, OpRule], found: set[fx.Node]) -> bool:
    if user in found:
        return True
    rule = rules.get(user.target)
    places = [place for place, arg in enumerate(user.args) if arg is node]
    return rule is not None and rule.route is Route.MIXES and bool(places) and set(places) <= set(rule.weights)


def _refuse_hidden_writes(state: _State, node: fx.Node, where: str) -> None:
    """A write into a view changes a value that the graph shows no write to.

    It does no harm where neither carries channels: a mask that the forward makes of numbers.
    """
    if not writes(node) or node.users or node in state.weights_only:
        return
    first = node.args[0]
    if isinstance(first, fx.Node) and first.op == "call_function" and _is_view(first):
        carried = [labels for labels in map(state.values.get, node.all_input_nodes) if isinstance(labels, Tensor)]
        made = all(argument.op == "call_function" for argument in node.all_input_nodes)
        if made and all(bool((labels == lab.NONE).all()) for labels in carried):
            return
        raise RefusedError(
            f"layer '{where}' writes into a part of a value ({node.target._schema.name}); "  # type: ignore[union-attr]
            "the graph does not show where that goes: build the value with torch.cat or torch.where"
        )


def _is_view(node: fx.Node) -> bool:
    if node.target is operator.getitem:
        return True
    schema = getattr(node.target, "_schema", None)
    aliases = [argument.alias_info for argument in schema.arguments[:1]] if schema is not None else []
    return bool(aliases) and aliases[0] is not None and not aliases[0].is_write


def concrete(shape: Any) -> tuple[int, ...]:
    """A shape with symbolic sizes replaced by those of the example."""
    return tuple(concrete_number(size) for size in shape)


def concrete_number(value: Any) -> Any:
    """A symbolic number as the number that it had in the example, or that an assertion says it has; None for none."""
    if not isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return value
    return value.node.maybe_as_int() if value.node.hint is None else value.node.hint

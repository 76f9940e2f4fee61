"""Operators that an export keeps in a graph of their own, for the mode they run in, are taken into the one graph.

`torch.no_grad`, a reentrant checkpoint and an autocast wrap what they run; of these only an autocast can change values.
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from model_lego.errors import RefusedError
from model_lego.graph.nodes import place_of

#: Operators that run a graph once, as it is, under a mode: the place of that graph among their arguments.
WRAPPERS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}
#: The place where an autocast says whether it is on: off, what it runs says itself which precision it takes.
ENABLED = 2


def inlined(module: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """The same program in one graph; `dtype` is that of the images.

    Raises RefusedError for graphs that run under an autocast that changes values, or that values choose or repeat.
    """
    if not module.graph.find_nodes(op="get_attr"):
        return module
    graph = fx.Graph()
    known: dict[fx.Node, Any] = {}
    for node in module.graph.find_nodes(op="placeholder"):
        known[node] = graph.node_copy(node)
        known[node].name = node.name  # a copy calls "input" otherwise
    results = _copy_in(module, graph, known, dtype)
    graph.output(results)
    return fx.GraphModule(module, graph)


def _copy_in(module: fx.GraphModule, graph: fx.Graph, known: dict[fx.Node, Any], dtype: torch.dtype) -> Any:
    """Copy the operators of a module behind those of a graph; `known` are values by the module's own nodes."""
    for node in module.graph.nodes:
        if node.op != "call_function":
            continue
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            known[node] = _take_in(module, graph, node, known, dtype)
        elif node.target is operator.getitem and not isinstance(known[node.args[0]], fx.Node):
            known[node] = known[node.args[0]][node.args[1]]  # of what a graph within gave
        else:
            known[node] = graph.node_copy(node, known.__getitem__)
    (final,) = module.graph.find_nodes(op="output")
    return fx.node.map_arg(final.args[0], known.__getitem__)


def _take_in(
    module: fx.GraphModule, graph: fx.Graph, node: fx.Node, known: dict[fx.Node, Any], dtype: torch.dtype
) -> Any:
    """The values that a graph within an operator gives, whose operators are copied."""
    name = str(node.target)
    if name not in WRAPPERS:
        raise RefusedError(
            f"{place_of(node)} runs a graph of its own within {name}, which decides by values what is run, or how "
            "often; write it as operators on tensors, as torch.where does"
        )
    place = WRAPPERS[name]
    inner = module.get_submodule(str(node.args[place].target))  # type: ignore[union-attr]
    assert isinstance(inner, fx.GraphModule)  # such an operator names one
    if name == "wrap_with_autocast" and node.args[ENABLED]:
        _refuse_other_precision(inner, node.args[1], dtype)
    given = [known[arg] for arg in node.args[place + 1 :]]  # type: ignore[index]
    mine = dict(zip(inner.graph.find_nodes(op="placeholder"), given, strict=True))
    return _copy_in(inner, graph, mine, dtype)


def _refuse_other_precision(inner: fx.GraphModule, lower: Any, dtype: torch.dtype) -> None:
    """An autocast that is off, or for another device, or that meets its own precision only, changes nothing."""
    for node in inner.graph.nodes:
        found = {leaf.dtype for leaf in tree_leaves(node.meta.get("val")) if isinstance(leaf, Tensor)}
        if node.op == "call_function" and any(one.is_floating_point and one != dtype for one in found):
            raise RefusedError(
                f"{place_of(node)} runs under torch.autocast ({lower}) inside the forward, in another precision than "
                f"its images have ({dtype}); take autocast out of the forward and put it around the calls (prepared by "
                "accelerate: take accelerator.unwrap_model(model, keep_fp32_wrapper=False))"
            )

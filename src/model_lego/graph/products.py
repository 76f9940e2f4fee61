"""Matrix products with a parameter, as `x @ weight.t()`, are linear layers, and are written as such in the graph."""

from typing import Any

import torch
from torch import fx

from model_lego.graph.nodes import from_tensors
from model_lego.graph.ops.elementwise import overload
from model_lego.graph.ops.mixing import times
from model_lego.graph.rule import WEIGHT_AT

aten = torch.ops.aten
#: Products, and where in their arguments the value and the matrix stand, and the bias, if they have one.
PRODUCTS: dict[Any, tuple[int, ...]] = {
    aten.matmul.default: (0, 1),
    aten.mm.default: (0, 1),
    aten.addmm.default: (1, 2, 0),
}
TRANSPOSED = {overload(name) for name in ("t", "numpy_T", "mT", "transpose.int", "permute")}
#: Operators that have a weight, which some networks make for each image.
WEIGHTED = {overload(f"conv{dims}d{kind}") for dims in (1, 2, 3) for kind in ("", ".padding")} | {overload("linear")}


def with_linear_layers(module: fx.GraphModule, image: str) -> fx.GraphModule:
    """Write products of a value and a parameter as linear layers, in place: as `linear` or, transposed, as `times`.

    Not where a weight is made of them, as a mixture of experts makes one for each image.
    """
    constant = from_tensors(module.graph, image)
    for node in list(module.graph.nodes):
        if _is_layer(node, constant) and not _makes_weight(module.graph, node):
            _write_as_layer(module.graph, node)
    module.recompile()
    return module


def _is_layer(node: fx.Node, constant: set[fx.Node]) -> bool:
    """Whether a node multiplies a value by a parameter with two dimensions, or one that was transposed."""
    if node.target not in PRODUCTS or node.kwargs:
        return False
    value, matrix = (_argument(node, place) for place in PRODUCTS[node.target][:2])
    held = _argument(matrix, 0) if matrix.target in TRANSPOSED else matrix
    flat = matrix.meta["val"].dim() == 2 and value.meta["val"].dim() >= 2
    return flat and held.op == "placeholder" and held in constant and value not in constant


def _makes_weight(graph: fx.Graph, product: fx.Node) -> bool:
    """Whether a product ends in the weight of another layer."""
    reached = {product}
    for node in graph.nodes:
        if node.target in WEIGHTED:
            if node.args[WEIGHT_AT] in reached:
                return True
        elif not reached.isdisjoint(node.all_input_nodes):
            reached.add(node)
    return False


def _write_as_layer(graph: fx.Graph, node: fx.Node) -> None:
    value, matrix, *bias = (_argument(node, place) for place in PRODUCTS[node.target])
    turned = matrix.target in TRANSPOSED
    with graph.inserting_before(node):
        weight = _argument(matrix, 0) if turned else matrix
        layer = graph.call_function(aten.linear.default if turned else times, (value, weight, *bias))
    layer.meta = dict(node.meta)
    node.replace_all_uses_with(layer)
    graph.erase_node(node)
    if turned and not matrix.users:
        graph.erase_node(matrix)


def _argument(node: fx.Node, place: int) -> fx.Node:
    argument = node.args[place]
    assert isinstance(argument, fx.Node)  # the operands of a product are tensors
    return argument

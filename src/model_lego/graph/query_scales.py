"""Scales that follow the width of queries: which rows of which tensors make up for it where queries are cut.

`scaled_dot_product_attention` divides by the root of the width that it finds. In a cut network that is another one, so
what makes the queries is multiplied by the root of the share that is left, and the scores stay those of the source.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from model_lego.graph.channels import Fold, Layer
from model_lego.graph.collector import Builder
from model_lego.graph.ops.elementwise import overload
from model_lego.graph.rule import OpRule, Route, flat_labels

_NAMES = ("dropout", "clone", "contiguous", "alias", "detach", "neg", "_to_copy", "to.dtype", "to.device")
#: Operators that give the multiple of what they are given a multiple of, beside those that only move it.
PROPORTIONAL = {overload(name) for name in (*_NAMES, "mul.Tensor", "div.Tensor", "mul.Scalar", "div.Scalar")}


def find_folds(builder: Builder, rules: Mapping[object, OpRule], values: Mapping[fx.Node, Any]) -> None:
    """Note the tensors that make queries; where these have other uses, or are not proportional to them, tie each head.

    The channels of a head that is tied are kept or cut together, so that its width stays what it is.
    """
    nodes = {node.name: node for node in builder.program.nodes}
    names = [name for layer in builder.layers for name in (layer.weight, layer.bias)]
    for name, labels in builder.scaled:
        made = _Queries(labels, builder, rules, values).makers(nodes[name])
        if made is None or any(names.count(each) > 1 for layer in made for each in (layer.weight, layer.bias) if each):
            first, every = torch.broadcast_tensors(labels[..., :1], labels)
            builder.edges.append((first.reshape(-1), every.reshape(-1)))
            continue
        rows = labels.reshape(-1, labels.shape[-1])
        for layer in made:
            positions = torch.isin(layer.outputs, rows)
            builder.folds.append(Fold(layer.weight, layer.window.output_axis, positions, rows))
            if layer.bias is not None:
                builder.folds.append(Fold(builder.program.canonical(layer.bias), 0, positions, rows))


class _Queries:
    """The way from the layers that make queries to the product that reads them."""

    def __init__(
        self, labels: Tensor, builder: Builder, rules: Mapping[object, OpRule], values: Mapping[fx.Node, Any]
    ) -> None:
        self.points, self.rules, self.values = labels.reshape(-1), rules, values
        self.layers = {layer.node: layer for layer in builder.layers}

    def makers(self, product: fx.Node) -> list[Layer] | None:
        """The layers whose outputs the queries are; None where they are more than that, or have other uses."""
        found, way = [], [product.args[0]]
        for node in way:  # grows
            assert isinstance(node, fx.Node)  # operands of a product are tensors
            if node.name in self.layers:
                found.append(self.layers[node.name])
                continue
            before = [each for each in node.all_input_nodes if self._carries(each)]
            if not (self._moves(node) or node.target in PROPORTIONAL) or before != [node.args[0]]:
                return None
            way += [each for each in before if each not in way]
        return None if any(self._read(node, way, product) for node in way) else found

    def _read(self, node: Any, way: list[Any], product: fx.Node) -> bool:
        """Whether something beside the product reads the queries off a value."""
        for user in node.users:
            if user is product:
                read = [place for place, arg in enumerate(product.args) if arg is node] != [0]
            elif user in way or not isinstance(user.meta.get("val"), Tensor | list | tuple):
                read = False
            elif self._moves(user):
                read = self._carries(user) and self._read(user, way, product)
            else:
                read = self._carries(node)
            if read:
                return True
        return False

    def _moves(self, node: fx.Node) -> bool:
        rule = self.rules.get(node.target)
        return node.op == "call_function" and (rule is None or rule.route is Route.MOVES)

    def _carries(self, node: fx.Node) -> bool:
        """Whether queries are among what a value holds."""
        labels = self.values.get(node)
        held = flat_labels([labels]) if labels is not None else []
        return any(bool(torch.isin(each, self.points).any()) for each in held)

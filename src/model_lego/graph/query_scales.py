"""Scales that follow the width of queries: which rows of which tensors make up for it where queries are cut.

`scaled_dot_product_attention` divides by the root of the width that it finds. In a cut network that is another one, so
what makes the queries is multiplied by the root of the share that is left, and the scores stay those of the source. So
it is with a forward that computes the root itself (torchvision's Swin): a factor of that size which no attribute holds.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph.channels import Fold, Layer
from model_lego.graph.collector import Builder
from model_lego.graph.ops.elementwise import overload
from model_lego.graph.rule import OpRule, Route, flat_labels

_NAMES = ("dropout", "clone", "contiguous", "alias", "detach", "neg", "_to_copy", "to.dtype", "to.device")
MULTIPLYING = {overload("mul.Tensor"), overload("mul.Scalar")}
#: Operators that multiply or divide by a number, or by another value.
SCALING = {*MULTIPLYING, overload("div.Tensor"), overload("div.Scalar")}
#: Operators that give the multiple of what they are given a multiple of, beside those that only move it.
PROPORTIONAL = {*map(overload, _NAMES), *SCALING}


def find_folds(
    builder: Builder, rules: Mapping[object, OpRule], values: Mapping[fx.Node, Any], model: nn.Module
) -> None:
    """Note the tensors that make queries; where these have other uses, or are not proportional to them, tie each head.

    The channels of a head that is tied are kept or cut together, so that its width stays what it is.
    """
    nodes = {node.name: node for node in builder.program.nodes}
    names = [name for layer in builder.layers for name in (layer.weight, layer.bias)]
    for name, labels in (*builder.scaled, *_computed(builder, nodes, model)):
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


def _computed(builder: Builder, nodes: Mapping[str, fx.Node], model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Products, with the labels of their queries, whose scale a forward computes; `trace` tries them."""
    for product in builder.products:
        node, labels = nodes[product.node], product.operands[0]
        width, held = labels.shape[-1], vars(model.get_submodule(product.where)).values()
        scales = (scale for scale in _factors(node) if width > 1 and math.isclose(scale, width**-0.5))
        if any(not any(isinstance(one, float) and math.isclose(one, scale) for one in held) for scale in scales):
            yield product.node, labels


def _factors(product: fx.Node) -> Iterator[float]:
    """The numbers by which what a product takes, or gives, is multiplied, just before or behind it."""
    near = [*product.users]
    for node in product.all_input_nodes:
        while node.target not in SCALING and node.op == "call_function" and len(node.all_input_nodes) == 1:
            node = node.all_input_nodes[0]
        near.append(node)
    for node in near:
        factor = node.args[1] if node.target in SCALING else None
        if isinstance(factor, int | float) and factor:
            yield factor if node.target in MULTIPLYING else 1 / factor


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

"""A linear layer whose bias is put together in the forward is written as one without, and the bias is added behind.

BEiT's is queries' and values' with zeros between: whose channels they are, labels say, as of any tensor that is added.
"""

import torch
from torch import fx

from model_lego.graph.nodes import from_tensors
from model_lego.graph.rule import BIAS_AT

aten = torch.ops.aten


def with_added_biases(module: fx.GraphModule, image: str) -> fx.GraphModule:
    """Add biases that are made of tensors behind their linear layers, in place."""
    made = from_tensors(module.graph, image)
    for node in list(module.graph.find_nodes(op="call_function", target=aten.linear.default)):
        bias = node.args[BIAS_AT] if len(node.args) > BIAS_AT else None
        if isinstance(bias, fx.Node) and bias.op != "placeholder" and bias in made:
            _add_behind(module.graph, node, bias)
    module.recompile()
    return module


def _add_behind(graph: fx.Graph, node: fx.Node, bias: fx.Node) -> None:
    with graph.inserting_after(node):
        added = graph.call_function(aten.add.Tensor, (node, bias))
    added.meta = dict(node.meta)
    node.replace_all_uses_with(added, delete_user_cb=lambda user: user is not added)
    node.args = node.args[:BIAS_AT]

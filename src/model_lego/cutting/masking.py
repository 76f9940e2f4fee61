"""The masked source: what a cut network has to equal, from the uncut network alone."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import labels as lab
from model_lego.graph.channels import ChannelGraph, Statistic
from model_lego.graph.program import Runner
from model_lego.graph.selection import ChannelSelection


@torch.no_grad()
def masked_run(model: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor) -> Tensor:
    """Run the source as if its dropped channels were not there.

    They are zeroed at the input of every channel-mixing operator, and of every product of queries and keys; statistics
    over channels are taken over those that are kept. Gives the kept logits, batch x len(selection.logits).
    """
    logits = graph.program.run_by(_Masking(graph, selection, len(images)), model, images)
    return logits[:, list(selection.logits)]


class _Masking(Runner):
    """Runs a network so that nothing reads its dropped channels."""

    def __init__(self, graph: ChannelGraph, selection: ChannelSelection, images: int) -> None:
        super().__init__(graph.program.module, None)
        self.batch, self.images = graph.program.batch, images
        self.keep, self.rules = selection.keep, graph.rules
        self.readers = {layer.node: layer for layer in graph.layers}
        self.products = {product.node: product.operands for product in graph.products}
        self.statistics = {
            each.node: each for each in graph.statistics if selection.kept(each.channels) < len(each.channels)
        }

    def run_node(self, n: fx.Node) -> Any:
        """Run one operator on what is kept of its channels."""
        if n.name in self.statistics:
            return self._over_kept(n, self.statistics[n.name])
        if n.name in self.products:
            return self._multiplied(n)
        layer = self.readers.get(n.name)
        if layer is None:
            return super().run_node(n)
        (x, *others), kwargs = self.fetch_args_kwargs_from_env(n)
        shape = [1] * x.dim()
        shape[layer.window.channel_dim] = -1
        kept = self.keep[layer.inputs].to(x.device).reshape(shape)
        return self.call_function(n.target, (x * kept.to(x.dtype), *others), kwargs)

    def _multiplied(self, node: fx.Node) -> Any:
        """What a product gives where the dropped channels of its operands are zero."""
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        given = list(args)
        for place, labels in self.products[node.name].items():
            labels = lab.along_batch(labels, self.batch, self.images)
            given[place] = args[place] * (self.keep[labels] | (labels == lab.NONE)).to(args[place])
        return self.call_function(node.target, tuple(given), kwargs)

    def _over_kept(self, node: fx.Node, statistic: Statistic) -> Any:
        """What an operator gives for the kept channels alone; zero for the others, if it gives something for each."""
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        x: Tensor = args[0]
        kept = self.keep[statistic.channels].nonzero().reshape(-1).to(x.device)
        given = [x.index_select(statistic.dim, kept), *args[1:]]
        rule = self.rules[node.target]
        for place in rule.weights:
            if place < len(args) and isinstance(args[place], Tensor):
                given[place] = args[place].index_select(0, kept)
        if rule.groups_at is not None and isinstance(args[rule.groups_at], list | tuple):
            given[rule.groups_at] = [len(kept)]
        result = self.call_function(node.target, tuple(given), kwargs)
        if (
            not isinstance(result, Tensor)
            or node.meta["val"].dim() < x.dim()
            or node.meta["val"].shape[statistic.dim] == 1
        ):
            return result
        return result.new_zeros(x.shape).index_copy_(statistic.dim, kept, result)

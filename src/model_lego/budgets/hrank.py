"""HRank: how much of an image a feature map shows, as the rank of the map (Lin et al., CVPR 2020)."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import ChannelGraph, Layer
from model_lego.graph.program import Runner
from model_lego.graph.rule import Route

#: Images that the ranks are averaged over, as published.
IMAGES = 500
#: Images that run at once.
PORTION = 50


@torch.no_grad()
def ranks(model: nn.Module, graph: ChannelGraph, images: Tensor) -> Tensor:
    """Average rank of a channel's feature maps over the images, N x C x H x W; one number a channel of the graph.

    The maps of a layer are taken behind what follows on its output alone and leaves their size: norms, activations, the
    sum of a residual block. The rank of a single number is 1 where it is not zero. Of a channel that several layers
    write, the ranks are averaged.
    """
    images = images[:IMAGES]
    ears: dict[str, list[Layer]] = defaultdict(list)
    program, nodes = graph.program, {node.name: node for node in graph.program.nodes}
    for layer in graph.layers:
        ears[settled(nodes[layer.node], graph).name].append(layer)
    total, count = (torch.zeros(graph.width, dtype=torch.float64) for _ in range(2))
    listener = _Listener(program.module, ears, total)
    for some in images.split(PORTION):
        listener.run(
            *(
                some if node.name == program.image else program.tensor(model, program.tensors[node.name])
                for node in program.module.graph.find_nodes(op="placeholder")
            )
        )
    for layer in graph.layers:
        count.index_add_(0, layer.outputs, torch.ones(len(layer.outputs), dtype=torch.float64))
    return total / (count * len(images)).clamp(min=1)


def settled(node: fx.Node, graph: ChannelGraph) -> fx.Node:
    """The last value that holds the same maps: the only use of the one before, position by position."""
    while len(node.users) == 1:
        (user,) = node.users
        rule = graph.rules.get(user.target)
        if rule is None or rule.route not in (Route.KEEPS, Route.JOINS) or not _same_shape(node, user):
            break
        node = user
    return node


def _same_shape(first: fx.Node, second: fx.Node) -> bool:
    ours, theirs = first.meta["val"], second.meta["val"]
    return isinstance(theirs, Tensor) and tuple(ours.shape) == tuple(theirs.shape)


class _Listener(Runner):
    """Adds up the ranks of the maps that layers are done with."""

    def __init__(self, module: fx.GraphModule, ears: dict[str, list[Layer]], total: Tensor) -> None:
        super().__init__(module, None)
        self.ears, self.total = ears, total

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.ears:
            for layer in self.ears[n.name]:
                maps = value.transpose(1, layer.window.channel_dim)
                self.total.index_add_(0, layer.outputs, map_ranks(maps).sum(0).double().cpu())
        return value


def map_ranks(maps: Tensor) -> Tensor:
    """Rank of each map, images x channels, of values images x channels x …; a map of one dimension is one row."""
    while maps.dim() < 4:
        maps = maps.unsqueeze(2)
    maps = maps.flatten(3)
    if 1 in maps.shape[2:]:
        return (maps != 0).flatten(2).any(2).long()
    each: Tensor = torch.linalg.matrix_rank(maps.to(torch.promote_types(maps.dtype, torch.float32)))
    return each

"""Graph networks: a network over the nodes of one graph as a classifier, which takes numbers of nodes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model_lego.errors import BadBatches, BadConfig
from model_lego.graph.ops.gathering import given


class NodeClassifier(nn.Module):
    """A graph network on one fixed graph, which classifies nodes as other networks do images.

    It is called on numbers of nodes (batch x 1, floats, since that is what images are) and gives batch x classes. So
    everything that takes a classifier apart, measures it, or trains it takes this one, too; `batches` makes the pairs.
    `network` is called as `network(features, *edges)` and gives nodes x classes, for all nodes of the graph. The graph
    is no part of the network: it is not in the state dict, nor in saved files.
    """

    features: Tensor

    def __init__(self, network: nn.Module, features: Tensor, *edges: Tensor) -> None:
        """Take a network, the features of all nodes (nodes x features), and what else its forward is called with.

        For torch_geometric's layers: `edge_index`, and `edge_weight` where there is one. Raises BadConfig.
        """
        super().__init__()
        if features.dim() != 2 or not features.is_floating_point():
            raise BadConfig(
                f"features of shape {tuple(features.shape)} ({features.dtype}) are not nodes x features; "
                "give a float for each node and feature"
            )
        self.network = network
        self.register_buffer("features", features, persistent=False)
        self._count = len(edges)
        for number, tensor in enumerate(edges):
            self.register_buffer(f"edges{number}", tensor, persistent=False)

    @property
    def graph_tensors(self) -> tuple[str, ...]:
        """Names of the tensors that are the graph."""
        return ("features", *(f"edges{number}" for number in range(self._count)))

    @property
    def edges(self) -> tuple[Tensor, ...]:
        """What the network is called with besides the features."""
        return tuple(self.get_buffer(f"edges{number}") for number in range(self._count))

    def forward(self, nodes: Tensor) -> Tensor:
        """Give the logits of some nodes: batch x 1 to batch x classes."""
        if len(self.features) > 2 / torch.finfo(nodes.dtype).eps:
            raise BadConfig(f"{nodes.dtype} cannot tell {len(self.features)} nodes apart; use a wider data type")
        logits: Tensor = self.network(given(self.features, True), *(given(tensor, False) for tensor in self.edges))
        return logits[nodes[:, 0].long()]

    def batches(
        self, nodes: Tensor | Sequence[int], labels: Tensor, *, size: int = 1024
    ) -> list[tuple[Tensor, Tensor]]:
        """Batches of some nodes, by their numbers, with their labels, out of the labels of all nodes (int64).

        Raises BadBatches.
        """
        numbers = torch.as_tensor(nodes, dtype=torch.int64)
        count = len(self.features)
        if labels.shape != (count,):
            raise BadBatches(f"labels of shape {tuple(labels.shape)} are not those of the {count} nodes of the graph")
        if not len(numbers) or int(numbers.min()) < 0 or int(numbers.max()) >= count:
            raise BadBatches(f"the nodes have to be some of 0 to {count - 1}")
        return [(some[:, None].to(self.features.dtype), labels[some]) for some in numbers.split(size)]

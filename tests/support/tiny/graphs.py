"""Small networks over the nodes of a graph, one for each way of summing along edges; nothing of ours imported.

All take features of `N x 6` and what their name says of the edges, and give `N x 4` logits.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

NODES, FEATURES, HIDDEN, CLASSES = 20, 6, 10, 4


class Convolution(nn.Module):
    """Writes first, sums along edges then, adds a bias last: A (X W) + b, as GCNConv does."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs, bias=False)
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        x = self.linear(x)
        edges = edges[:, edges[0] != edges[1]]  # loops are given anew: how many edges there are depends on the numbers
        loops = torch.arange(len(x))
        source, target = torch.cat([edges, torch.stack([loops, loops])], 1)
        degree = torch.zeros(len(x), dtype=x.dtype).scatter_add_(0, target, torch.ones_like(target, dtype=x.dtype))
        weight = degree.pow_(-0.5)[source] * degree[target]
        messages = x.index_select(0, source) * weight[:, None]
        return torch.zeros_like(x).index_add(0, target, messages) + self.bias


class Dense(Convolution):
    """The same with a matrix for the edges."""

    def forward(self, x: Tensor, matrix: Tensor) -> Tensor:
        return matrix @ self.linear(x) + self.bias


class Mean(nn.Module):
    """Means over neighbours first, a matrix then, and one for the node itself, as SAGEConv does."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.others, self.own = nn.Linear(features, outputs), nn.Linear(features, outputs, bias=False)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges
        count = torch.zeros(len(x), dtype=x.dtype).index_add(0, target, torch.ones_like(target, dtype=x.dtype))
        index = target[:, None].expand(-1, x.shape[1])
        total = torch.zeros_like(x).scatter_add(0, index, x[source])
        return self.others(total / count.clamp(min=1)[:, None]) + self.own(x)


class Two(nn.Module):
    """Two layers with a relu between them."""

    def __init__(self, layer: Callable[[int, int], nn.Module], hidden: int = HIDDEN) -> None:
        super().__init__()
        self.a, self.b = layer(FEATURES, hidden), layer(hidden, CLASSES)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x, edges)), edges)


class Diffusing(nn.Module):
    """Classifies the nodes one by one, then mixes the logits of neighbours, twice, as APPNP does."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, CLASSES, bias=False)

    def forward(self, x: Tensor, matrix: Tensor) -> Tensor:
        start = x = self.b(torch.relu(self.a(x)))
        for _ in range(2):
            x = 0.8 * (matrix @ x) + 0.2 * start
        return x


def edges() -> Tensor:
    """Some forty edges in both directions, and two loops; the last node has none."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(0, NODES - 1, (2, 40), generator=generator)
    loops = torch.tensor([[0, 3], [0, 3]])
    return torch.cat([pairs[:, pairs[0] != pairs[1]], pairs.flip(0)[:, pairs[0] != pairs[1]], loops], 1)


def normalised() -> Tensor:
    """D^-1/2 (A + I) D^-1/2 in plain loops; several edges between two nodes count as several."""
    matrix = torch.eye(NODES, dtype=torch.float64)
    for source, target in edges().T.tolist():
        if source != target:
            matrix[target, source] += 1
    degree = matrix.sum(1)
    return matrix / (degree[:, None] * degree[None, :]).sqrt()


def means() -> Tensor:
    """The matrix that takes means over neighbours, loops counted."""
    matrix = torch.zeros(NODES, NODES, dtype=torch.float64)
    for source, target in edges().T.tolist():
        matrix[target, source] += 1
    return matrix / matrix.sum(1, keepdim=True).clamp(min=1)


#: name -> how to build it, and what its edges are given as.
GRAPHS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "convolution": (lambda: Two(Convolution), edges),
    "dense": (lambda: Two(Dense), normalised),
    "mean": (lambda: Two(Mean), edges),
    "diffusing": (Diffusing, normalised),
}


def read_by(name: str) -> dict[str, Tensor]:
    """For each linear layer the matrix M such that of node i it reads the i-th row of M X, X being what it is given."""
    one = torch.eye(NODES, dtype=torch.float64)
    if name == "mean":  # X are the means
        return {"a.others": one, "a.own": one, "b.others": one, "b.own": one}
    if name == "diffusing":
        matrix = normalised()
        return {"a": one, "b": 0.8 * matrix @ (0.8 * matrix + 0.2 * one) + 0.2 * one}
    return {"a.linear": normalised(), "b.linear": normalised()}

"""Values made of tensors alone that end in weights, where an operator on the way gives several of them."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.cutting.tracing import trace


class InParts(nn.Module):
    """Its layers take parts of a bias that is put together in the forward."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 1)
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.bias = nn.Parameter(torch.randn(6))
        self.other = nn.Parameter(torch.randn(6))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x).relu()).relu().mean((2, 3))
        for part in self.parts():
            x = F.linear(x, self.weight, part).relu()
        return self.head(x)

    def parts(self) -> tuple[Tensor, ...]:
        if self.way == "chunk":
            return torch.cat([self.bias, self.other]).chunk(2)
        if self.way == "split":
            return torch.cat([self.bias, self.other]).split([6, 6])
        if self.way == "unbind":
            return torch.stack([self.bias, self.other]).unbind(0)
        return (self.bias * 2).split(6)


@pytest.mark.parametrize("way", ["chunk", "split", "unbind", "one part"])
def test_a_bias_out_of_parts_is_a_computed_one(way):
    graph = trace(InParts(way).double().eval(), torch.randn(2, 3, 6, 6, dtype=torch.float64))
    reasons = {freeze.reason for freeze in graph.freezes}
    assert any("computed in the forward" in reason for reason in reasons), reasons
    first = graph.layers[0]
    assert graph.cuttable[first.outputs].tolist() == [True] * 8

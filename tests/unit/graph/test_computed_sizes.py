"""Sizes that an operator computes from values: known where these are constants, refused where images decide them."""

import pytest
import torch
from torch import Tensor, nn

from model_lego.cutting.tracing import trace
from model_lego.errors import UnsupportedOpError


class Choosing(nn.Module):
    """It reads some products of its channels, as a covariance pooling does, at positions found in one of these ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1), nn.Linear(10, 5)
        self.register_buffer("upper", torch.ones(4, 4).triu())

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x).relu()).relu().mean((2, 3))
        y = (x[:, :, None] * x[:, None, :]).flatten(1)
        if self.way == "nonzero":
            y = y[:, torch.ones(4, 4).triu().flatten().nonzero()[:, 0]]
        elif self.way == "column":
            y = y[:, torch.ones(4, 4).triu().flatten().nonzero()].flatten(1)
        elif self.way == "mask":
            y = y[:, self.upper.flatten() > 0]
        elif self.way == "images":
            y = y[:, (x.detach()[0, :, None] * torch.ones(4) >= 0).flatten().nonzero()[:, 0]][:, :10]
        return self.head(y)


@pytest.mark.parametrize("way", ["nonzero", "column", "mask"])
def test_a_size_that_constants_decide_is_known(way):
    graph = trace(Choosing(way).double().eval(), torch.randn(2, 3, 6, 6, dtype=torch.float64))
    first = graph.layers[0]
    assert bool(graph.cuttable[first.outputs].all())


def test_a_size_that_images_decide_is_refused():
    with pytest.raises(UnsupportedOpError, match="nonzero"):
        trace(Choosing("images").double().eval(), torch.randn(2, 3, 6, 6, dtype=torch.float64))

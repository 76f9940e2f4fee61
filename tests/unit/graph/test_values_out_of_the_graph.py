"""Forwards that take a value past the graph are refused with what to write instead."""

import pytest
import torch
from torch import Tensor, nn

from model_lego.cutting.tracing import trace
from model_lego.errors import TraceFailed


class Leaving(nn.Module):
    """It goes on with the data of a value, at one of three places."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self.first, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.place == "images":
            x = x.data
        if self.place == "patches":
            x = x.data.unfold(2, 3, 3).mean(-1)
        x = self.first(x).relu()
        if self.place == "channels":
            x = x.data * 2
        if self.place == "detached":
            x = x.detach() * 2
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("place", ["images", "patches", "channels"])
def test_data_is_refused_by_its_name(place):
    with pytest.raises(TraceFailed, match=r"cannot follow Leaving: .*`x.data`.*use x.detach\(\)"):
        trace(Leaving(place).eval(), torch.randn(2, 3, 9, 9))


def test_what_is_advised_works():
    graph = trace(Leaving("detached").eval(), torch.randn(2, 3, 9, 9))
    assert not graph.freezes

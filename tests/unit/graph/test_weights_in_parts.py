"""Values made of tensors alone that end in weights, where an operator on the way gives several of them."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.graph import select


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


def zeroed(model: InParts, channels: list[int]) -> InParts:
    """The network with zeros in place of some of the 6 channels of its second layer, which the next ones share."""
    model = copy.deepcopy(model)
    once = model.way == "one part"  # what the next layer gives are channels of its own
    shared = [] if once else [model.weight, model.bias, model.other]
    with torch.no_grad():
        for tensor in (model.second.weight, model.second.bias, *shared):
            tensor[channels] = 0
    return model


@pytest.mark.parametrize("way", ["chunk", "split", "unbind", "one part"])
def test_a_bias_out_of_parts_is_cut_with_the_channels_that_it_is_added_to(way):
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = InParts(way).double().eval()
    graph = trace(model, x)
    assert not any("computed in the forward" in freeze.reason for freeze in graph.freezes)
    shared = graph.layers[1].outputs
    if way == "split":  # has the number written into it
        assert not graph.cuttable[shared].any()
        return
    wanted = torch.ones(graph.width, dtype=torch.bool)
    wanted[shared[[1, 4]]] = False
    cut = slice_model(model, graph, select(graph, wanted, logits=range(4))).module
    assert cut.weight.shape == ((6, 4) if way == "one part" else (4, 4))
    torch.testing.assert_close(cut(x), zeroed(model, [1, 4])(x), rtol=1e-10, atol=1e-12)

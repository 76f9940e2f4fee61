"""Operators that read and sum at positions: channels stay where none lie along these, and are kept whole elsewhere."""

import pytest
import torch
from torch import nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.graph import select
from model_lego.graph.program import export_program

IMAGES = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ORDER = torch.randperm(16, generator=torch.Generator().manual_seed(1))
CHANNELS = torch.tensor([5, 4, 3, 2, 1, 0])


class Between(nn.Module):
    """Two layers with a function between them, which gets batch x 6 channels x 16 pixels and numbers of these."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.first, self.second = nn.Conv2d(2, 6, 1), nn.Conv1d(6, 5, 1)
        self.register_buffer("order", ORDER)
        self.register_buffer("channels", CHANNELS)
        self.register_buffer("matrix", torch.randn(16, 16, generator=torch.Generator().manual_seed(2)))

    def forward(self, x):
        x = self.first(x).flatten(2)
        return self.second(self.function(self, x)).amax(2)


def network(function):
    torch.manual_seed(0)
    return Between(function).double().eval()


def mixed(net, x):
    given = torch.ops.model_lego.given(net.matrix, False)
    return (given @ x.transpose(1, 2)).transpose(1, 2)


KEPT = {
    "index_select": lambda net, x: x.index_select(2, torch.ops.model_lego.given(net.order, False)),
    "a list of numbers": lambda net, x: x[:, :, torch.ops.model_lego.given(net.order, False)],
    "a mask": lambda net, x: x[:, :, torch.ops.model_lego.given(net.order, False) > 4],
    "index_add": lambda net, x: torch.zeros_like(x).index_add(2, torch.ops.model_lego.given(net.order, False) // 2, x),
    "a sum onto another value": lambda net, x: (2 * x).index_add(2, torch.ops.model_lego.given(net.order, False), x),
    "a product with a constant matrix": mixed,
}
WHOLE = {
    "index_select": lambda net, x: x.index_select(1, torch.ops.model_lego.given(net.channels, False)),
    "a list of numbers": lambda net, x: x[:, torch.ops.model_lego.given(net.channels, False)],
    "index_add": lambda net, x: torch.zeros_like(x).index_add(1, torch.ops.model_lego.given(net.channels, False), x),
    "a product of two values": lambda net, x: (x @ x.transpose(1, 2)) @ x,
}


@pytest.mark.parametrize("name", KEPT)
def test_channels_are_cut_where_positions_are_read_or_summed(name):
    model = network(KEPT[name])
    graph = trace(model, IMAGES)
    assert (int(graph.cuttable.sum()), graph.freezes) == (6, ())
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    wanted[graph.layer("first").outputs[[0, 3, 4]]] = True
    selection = select(graph, wanted, logits=(4, 0), scores=torch.zeros(graph.width, dtype=torch.float64))
    cut = slice_model(model, graph, selection).module
    check_cut(cut, model, graph, selection, IMAGES)
    with torch.no_grad():
        model.second.weight[:, [1, 2, 5]] = 0
        assert torch.allclose(cut(IMAGES), model(IMAGES)[:, [4, 0]])


@pytest.mark.parametrize("name", WHOLE)
def test_channels_are_kept_whole_where_they_are_the_positions(name):
    graph = trace(network(WHOLE[name]), IMAGES)
    assert int(graph.cuttable.sum()) == 0
    assert all(
        "reads positions" in f.reason or "product" in f.reason or "kept whole" in f.reason for f in graph.freezes
    )


def test_an_operator_that_no_channel_goes_into_is_passed_by():
    """Such as torch.searchsorted, which the table does not have."""
    model = network(lambda net, x: x * (1 + torch.searchsorted(torch.arange(4.0), torch.arange(16.0) / 8)))
    assert int(trace(model, IMAGES).cuttable.sum()) == 6


def test_sizes_that_numbers_tell_are_noted_and_whether_values_grow_with_the_batch():
    program = export_program(network(KEPT["a mask"]), IMAGES)
    nodes = {str(node.target): node for node in program.nodes}
    assert nodes["aten.index.Tensor"].meta["by_batch"]
    assert nodes["aten.index.Tensor"].meta["val"].shape == (2, 6, 11)
    assert not nodes["model_lego.given.default"].meta["by_batch"]
    mask = nodes["aten.gt.Scalar"]
    assert not mask.meta["by_batch"]
    assert mask.meta["val"].shape == (16,)

"""roll along the channels: those that come round are kept whole, since of fewer channels others would come round."""

import pytest
import torch
from torch import nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs

X = torch.rand(3, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


class Rolling(nn.Module):
    def __init__(self, *turn):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(8)
            self.read, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)
        self.turn = turn
        self.double().eval()

    def forward(self, x):
        return self.last(self.read(x).roll(*self.turn).mean((2, 3)))


@pytest.mark.parametrize(
    ("turn", "whole"),
    [
        ((1, 1), {7}),
        ((-2, 1), {0, 1}),
        (((3, 2), (1, 3)), {5, 6, 7}),
        ((8, 1), set(range(8))),
        ((11, 1), set(range(8))),
        ((0, 1), set()),
        ((2, 2), set()),
    ],
)
def test_channels_that_come_round_are_kept_whole(turn, whole):
    model = Rolling(*turn)
    graph = trace(model, X)
    channels = graph.axes["read.weight"][0].channels
    assert {number for number, channel in enumerate(channels.tolist()) if bool(graph.frozen[channel])} == whole
    for seed in range(3):
        plan = half_plan(graph, seed=seed, logits=[2, 0])
        with torch.no_grad():
            found = slice_model(model, graph, plan).module(X)
        expected = masked_forward(model, X, kept_inputs(graph, plan))[:, [2, 0]]
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)

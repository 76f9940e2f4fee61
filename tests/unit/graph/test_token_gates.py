"""Layers over positions beside layers over channels: what reads which axis may change with a cut, and is found out."""

import pytest
import torch
from torch import Tensor, nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs


class Gated(nn.Module):
    """A block whose second half, mixed over positions, multiplies its first, as in a gMLP."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.rise, self.norm = nn.Linear(width, 4 * width), nn.LayerNorm(2 * width)
        self.fall = nn.Linear(2 * width, width)
        self.weight, self.bias = nn.Parameter(torch.randn(heads, 9, 9)), nn.Parameter(torch.randn(heads, 9))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        first, gate = self.rise(x).relu().chunk(2, dim=-1)
        gate = self.norm(gate).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        gate = torch.einsum("bhnd,hmn->bhmd", gate, self.weight) + self.bias[None, :, :, None]
        x = self.fall(gate.transpose(1, 2).flatten(2) * first) + x
        return self.head(x.mean(1))


@pytest.mark.parametrize(("heads", "width"), [(1, 8), (1, 9), (1, 12), (2, 8)])
def test_a_gate_over_positions_is_cut_right_or_kept(heads, width):
    torch.manual_seed(0)
    model, x = Gated(heads, width).double().eval(), torch.randn(3, 3, 12, 12, dtype=torch.float64)
    graph = trace(model, x)
    plan = half_plan(graph, seed=0, logits=[2, 0])
    expected = masked_forward(model, x, kept_inputs(graph, plan))[:, [2, 0]]
    torch.testing.assert_close(slice_model(model, graph, plan).module(x), expected)

"""A number of channels that the forward takes from another group is found, though halves of both would be equal."""

import torch
from torch import nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.graph import select


class Shaped(nn.Module):
    """Gives what it makes the shape of what it was given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(width, width, 1)

    def forward(self, x):
        return self.layer(x).flatten(2).relu().reshape(x.shape)


def test_a_width_that_is_anothers_is_found_though_it_is_as_wide():
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), Shaped(8), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    model, x = nn.Sequential(*layers).double().eval(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    graph = trace(model, x)
    assert {freeze.where for freeze in graph.freezes} == {"0", "2"}
    wanted = torch.rand(graph.width, generator=torch.Generator().manual_seed(0)) < 0.4
    selection = select(graph, wanted, logits=range(5))
    check_cut(slice_model(model, graph, selection).module, model, graph, selection, x)
    assert selection.kept(graph.layer("3").outputs) < 8

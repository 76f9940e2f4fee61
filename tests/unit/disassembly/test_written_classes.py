"""A forward that has its number of classes written into it: said before any work, and no obstacle for all of them."""

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.errors import RefusedError

IMAGES = torch.rand(24, 3, 10, 10, generator=torch.Generator().manual_seed(1))
BATCHES = [(IMAGES, torch.arange(24) % 6)]


class Reshaping(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6))
        self.last = last
        self.eval()

    def forward(self, x):
        return self.last(self.body(x))


WRITTEN = [
    lambda y: y.view(-1, 6),
    lambda y: y.view(y.size(0), 2, 3).flatten(1),
    lambda y: y.unflatten(1, (6, 1)).flatten(1),
]


@pytest.mark.parametrize("last", WRITTEN)
def test_fewer_classes_are_refused_before_anything_is_summed(last):
    network, said = Reshaping(last), []
    assert "only all of its classes together" in str(ml.diagnose(network, IMAGES))
    with pytest.raises(RefusedError, match="number of classes, 6, written into it"):
        ml.disassemble(
            network, BATCHES, classes=[1, 2], progress=lambda *report: said.append(report), thresholds=ml.Thresholds()
        )
    assert said == []


@pytest.mark.parametrize("last", WRITTEN)
def test_all_classes_can_be_kept(last):
    made = ml.compress(Reshaping(last), BATCHES, ml.Budget(params=0.9))
    assert made(IMAGES).shape == (24, 6)


@pytest.mark.parametrize("last", [lambda y: y, lambda y: y.view(y.size(0), -1), lambda y: y.reshape(-1, y.shape[1])])
def test_a_number_that_comes_from_a_tensor_is_no_obstacle(last):
    network = Reshaping(last)
    assert "together" not in str(ml.diagnose(network, IMAGES))
    assert ml.disassemble(network, BATCHES, classes=[1, 2], sampling="all")(IMAGES).shape == (24, 2)

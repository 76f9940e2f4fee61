"""A network that writes into the images it is given is refused: they would be others in the next pass."""

import pytest
import torch
from torch import nn

from model_lego.cutting.tracing import trace
from model_lego.errors import RefusedError
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import inputs


class First(nn.Module):
    """Does something with the images before all else."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def network(first) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(First(first), unit(3, 8), Head(8)).double().eval()


@pytest.mark.parametrize(
    "first",
    [
        lambda x: x.sub_(0.5).div_(0.25),
        lambda x: x.relu_(),
        lambda x: x.contiguous().clamp_(-1, 1),
        lambda x: nn.functional.dropout(x.view(x.shape), training=False).mul_(2),
    ],
    ids=["normalises in place", "relu in place", "what may be no copy", "through a view"],
)
def test_a_network_that_writes_into_its_images_is_refused_with_the_layer(first):
    x = inputs("plain", batch=2)
    before = x.clone()
    with pytest.raises(RefusedError, match=r"layer '0' writes into the images .*x\.clone\(\)"):
        trace(network(first), x)
    assert x.equal(before)


@pytest.mark.parametrize("first", [lambda x: x.clone().sub_(0.5), lambda x: (x * 2).relu_()], ids=["copy", "product"])
def test_a_network_that_writes_into_a_copy_is_read(first):
    assert trace(network(first), inputs("plain", batch=2)).layers

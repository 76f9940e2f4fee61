"""Forwards that are written in odd ways: each is read and run as any other, channels-last on a CPU."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import model_lego as ml

ODD = {
    "view_as": lambda x: x.view_as(x.new_zeros(x.shape[0], x.shape[1] * 64))[:, ::64],
    "squeeze": lambda x: x.mean((2, 3), keepdim=True).squeeze(),
    "squeeze of a pool": lambda x: torch.squeeze(F.adaptive_max_pool2d(x, 1)),
    "squeeze twice": lambda x: x.mean((2, 3), keepdim=True).squeeze().unsqueeze(-1).squeeze(),
    "a mask in another data type": lambda x: (x * torch.ones(8, 8).tril().to(x.dtype)).mean((2, 3)),
    "a mask of truths": lambda x: x.masked_fill(~torch.ones(8, 8).tril().bool(), 0.0).mean((2, 3)),
    "where with a number": lambda x: torch.where(torch.ones(8, 8).tril().bool(), x, 0.0).mean((2, 3)),
    "channels by truths": lambda x: x[:, torch.tensor([True] * 8)].mean((2, 3)),
    "statistics made in the forward": lambda x: F.batch_norm(x, torch.zeros(8), torch.ones(8)).mean((2, 3)),
    "weights made in the forward": lambda x: F.group_norm(x, 4, torch.linspace(1, 2, 8)).mean((2, 3)),
    "a shift made in the forward": lambda x: F.instance_norm(x, bias=torch.linspace(1, 2, 8)).mean((2, 3)),
    "rows by truths": lambda x: x[:, :, torch.tensor([True, False] * 4)].mean((2, 3)),
}


class Odd(nn.Module):
    """A network of two layers, with a function from maps to features between them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.name, self.first, self.last = name, nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x):
        return self.last(ODD[self.name](self.first(x).relu()))


def batches(size: int) -> list:
    images, labels = torch.rand(9, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(9) % 4
    return list(zip(images.split(size), labels.split(size), strict=True))


@pytest.mark.parametrize("name", ODD)
def test_an_odd_forward_is_taken_apart_and_joined(name):
    model = Odd(name).eval()
    graph = ml.trace(model, batches(2)[0][0])
    parts = [
        ml.disassemble(model, batches(4), classes=classes, graph=graph, sampling="all") for classes in ([0, 1], [2, 3])
    ]
    (images, _), *_ = batches(9)
    expected = torch.cat([part(images) for part in parts], 1)
    torch.testing.assert_close(ml.assemble(parts)(images), expected)


@pytest.mark.parametrize("name", ["squeeze", "squeeze of a pool", "squeeze twice"])
def test_a_batch_of_one_image_counts_as_any_other(name):
    """It lost its batch dimension, and its channels were read as images."""
    model = Odd(name).eval()
    graph = ml.trace(model, batches(2)[0][0])
    whole, single = (ml.attribute(model, batches(size), graph=graph, sampling="all") for size in (9, 1))
    for layer in whole.layers:
        for label in range(4):
            torch.testing.assert_close(single.mean(layer, label), whole.mean(layer, label), rtol=1e-5, atol=1e-6)
    part = ml.disassemble(model, batches(1), classes=[1, 0], graph=graph, sampling="all")
    image = batches(1)[0][0]
    assert part(image).shape == (1, 2)
    assert ml.assemble([part])(image).shape == (1, 2)
    assert ml.evaluate(part, [(image, torch.tensor([0])), (image, torch.tensor([1]))]).accuracy == 50

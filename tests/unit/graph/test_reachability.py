"""Which channels reach some logits, against derivatives: what reaches a logit moves it."""

import pytest
import torch
from torch import nn

from model_lego.cutting.tracing import trace
from model_lego.graph.reachability import reaching


def sparse(layer: nn.Module, *, seed: int) -> nn.Module:
    """A layer of which most weights are zero, the others positive."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(layer.weight.shape[:2], generator=generator) < 0.25
    with torch.no_grad():
        layer.weight.copy_(torch.rand(layer.weight.shape, generator=generator) + 0.5)
        layer.weight.mul_(mask.reshape(*mask.shape, *[1] * (layer.weight.dim() - 2)))
        layer.bias.fill_(0.1)  # no relu is dead
    return layer


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("middle", [nn.Conv2d(8, 6, 3), nn.Conv2d(8, 6, 3, groups=2), nn.ConvTranspose2d(8, 6, 3)])
def test_a_channel_reaches_a_logit_where_it_has_a_derivative(middle, seed):
    layers = [sparse(nn.Conv2d(3, 8, 3), seed=seed), nn.ReLU(), sparse(middle, seed=seed + 10), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), sparse(nn.Linear(6, 4), seed=seed + 20))
    model = model.double().eval()
    graph = trace(model, torch.rand(2, 3, 8, 8, dtype=torch.float64))
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for logit in range(4):
        found = reaching(model, graph, [logit])
        maps = [model[:2](x)]
        maps.append(model[2:4](maps[0]))
        value = model[4:](maps[1])[0, logit]
        expected = torch.autograd.grad(value, maps, allow_unused=True)
        for layer, slope in zip(("0", "2"), expected, strict=True):
            moves = slope[0].flatten(1).abs().sum(1) > 0
            mine = found[graph.layer(layer).outputs]
            assert bool((mine | ~moves).all())  # nothing that moves it is left out
            assert torch.equal(mine, moves) or middle.groups == 2  # whose blocks stay equal: not asked here


def test_everything_reaches_some_logit_of_a_dense_network():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    graph = trace(model, torch.rand(2, 1, 2, 2))
    assert int(reaching(model, graph, [1])[graph.layer("1").outputs].sum()) == 5
    assert int(reaching(model, graph, [1])[graph.head].sum()) == 1

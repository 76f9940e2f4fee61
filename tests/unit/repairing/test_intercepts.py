"""Which layers a repair may give a bias: those that it refits, and whose operator takes one."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.cutting.tracing import trace
from model_lego.graph import RULES
from model_lego.repairing.intercepts import give_biases

IMAGES = torch.randn(20, 3, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BATCHES = [(IMAGES, torch.arange(20) % 5)]


def network(middle: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    stem, end = (nn.Conv2d(3, 8, 3), nn.ReLU()), (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    return nn.Sequential(*stem, middle, *end).double().eval()


@pytest.mark.parametrize("repair", ["ridge", "mean"])
def test_a_transposed_convolution_without_a_bias_is_left_as_it_is(repair):
    model = network(nn.ConvTranspose2d(8, 6, 2, stride=2, bias=False))
    component = ml.disassemble(model, BATCHES, classes=[3, 1], sampling="all", repair=repair)
    assert component.module[2].bias is None
    assert component(IMAGES).shape == (20, 2)


def test_a_layer_whose_operator_takes_no_bias_gets_none():
    model = network(nn.Conv2d(8, 6, 3, bias=False))
    graph = trace(model, IMAGES[:2])
    nodes = {node.name: node.target for node in graph.program.nodes}
    operator = nodes[graph.layer("2").node]
    without = {**RULES, operator: replace(RULES[operator], weights=(1,))}
    assert give_biases(model, graph.program, without, graph.layers) == ()
    assert give_biases(model, graph.program, RULES, graph.layers) == ("2",)

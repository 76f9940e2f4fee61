"""How far what a layer writes is followed: through operators that are linear and treat every channel alike."""

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.graph import runner
from model_lego.graph.node_rows import Reader, carried_by
from tests.support.tiny.graphs import CLASSES, FEATURES, NODES, normalised

MATRIX = normalised()
SLOPES = torch.linspace(0.5, 2, CLASSES, dtype=torch.float64)


class One(nn.Module):
    """One layer, and a function of what it writes and of the edges."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.layer = nn.Linear(FEATURES, CLASSES, bias=False)
        self.slopes = nn.Parameter(SLOPES)

    def forward(self, x, matrix):
        return self.function(self, self.layer(x), matrix)


def traced(function):
    torch.manual_seed(0)
    features = torch.randn(NODES, FEATURES, dtype=torch.float64)
    model = ml.NodeClassifier(One(function).double(), features, MATRIX).eval()
    return model, ml.trace(model, torch.zeros(2, 1, dtype=torch.float64))


CARRIED = {
    "a sum along edges": (lambda net, y, a: a @ y + net.slopes, MATRIX),
    "two sums": (lambda net, y, a: a @ (a @ y) + net.slopes, MATRIX @ MATRIX),
    "a sum and itself": (lambda net, y, a: a @ y - 0.5 * y, MATRIX - 0.5 * torch.eye(NODES)),
    "a weight for each node": (
        lambda net, y, a: (a @ y) / a.sum(1, keepdim=True),
        MATRIX / MATRIX.sum(1, keepdim=True),
    ),
    "a weight for each channel, slopes": (lambda net, y, a: (a @ y) * net.slopes, MATRIX),
    "one that is spread out, slopes": (lambda net, y, a: (a @ y) * net.slopes.expand_as(y), MATRIX),
    "a relu before the sum": (lambda net, y, a: a @ torch.relu(y), torch.eye(NODES)),
    "a number for each channel added": (lambda net, y, a: a @ (y + net.slopes), torch.eye(NODES)),
    "a numerator": (lambda net, y, a: a @ (1 / (3 + y.abs())), torch.eye(NODES)),
    "a sum onto ones": (
        lambda net, y, a: torch.ones_like(y).index_add(0, torch.ops.model_lego.given(torch.arange(NODES), False), y),
        torch.eye(NODES),
    ),
}


@pytest.mark.parametrize("name", CARRIED)
def test_a_layer_is_read_through_what_carries_its_channels_alike(name):
    function, matrix = CARRIED[name]
    model, graph = traced(function)
    reader = Reader(graph.program, graph.rules, model)
    reader.start(torch.tensor([[2.0], [0.0], [11.0]], dtype=torch.float64))
    x = torch.randn(NODES, 7, dtype=torch.float64)  # other than the layer writes, and not a multiple of it
    assert torch.allclose(reader.read(graph.layers[0].node, x), (matrix.double() @ x)[[2, 0, 11]])


def test_ordinary_layers_are_read_as_they_are():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
    graph = ml.trace(model, torch.zeros(2, 3, 4, 4))
    reader = Reader(graph.program, graph.rules, model)
    reader.start(torch.zeros(5, 3, 4, 4))
    x = torch.zeros(5, 16)
    assert all(reader.read(layer.node, x) is x for layer in graph.layers)
    node = next(node for node in graph.program.nodes if node.name == graph.layers[0].node)
    assert carried_by(graph.program, graph.rules, node).end is node


def test_how_many_nodes_run_at_once_depends_on_what_grows_with_them(monkeypatch):
    model, graph = traced(CARRIED["a sum along edges"][0])
    monkeypatch.setattr(runner, "CACHED_BYTES", 10 * CLASSES * 8)  # the logits of ten nodes
    assert runner.running(graph.program, model).at_once >= 10

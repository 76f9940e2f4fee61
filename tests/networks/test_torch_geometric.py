"""Layers of torch_geometric: their networks are read, cut, and attributed as they are."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.errors import RefusedError
from model_lego.graph import select
from model_lego.graph.node_rows import Reader
from tests.support.tiny.graphs import CLASSES, FEATURES, HIDDEN, NODES, edges

layers = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed (extra 'graphs')")

KINDS = {
    "GCNConv": {},
    "GCNConv cached": {"cached": True},
    "SAGEConv": {},
    "SAGEConv max": {"aggr": "max"},
    "GraphConv": {},
    "SGConv": {"K": 2},
    "TAGConv": {"K": 2},
}


class Two(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        convolution = getattr(layers, kind)
        self.a, self.b = convolution(FEATURES, HIDDEN, **options), convolution(HIDDEN, CLASSES, **options)

    def forward(self, x, edge_index):
        return self.b(torch.relu(self.a(x, edge_index)), edge_index)


def classifier(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Two(name.partition(" ")[0], **KINDS.get(name, {})).double().eval()
        features = torch.randn(NODES, FEATURES, dtype=torch.float64)
    network(features, edges())  # fills the cache where there is one
    return ml.NodeClassifier(network, features, edges()).eval()


def heard(module, run):
    """What a module gives while something runs."""
    found = []
    handle = module.register_forward_hook(lambda *call: found.append(call[2]))
    run()
    handle.remove()
    return found[0]


@pytest.mark.parametrize("name", KINDS)
def test_a_network_of_these_layers_is_cut_and_attributed(name):
    model = classifier(name)
    nodes = torch.arange(NODES, dtype=torch.float64)[:, None]
    graph = ml.trace(model, nodes[:2])
    assert int(graph.cuttable.sum()) == HIDDEN

    # law 3: contributions, summed over the inputs, are what the convolution gives at a node, without its biases
    reader, given = Reader(graph.program, graph.rules, model), {}
    reader.start(nodes[[7]])
    graph.program.run(model, nodes, lambda node, args: given.setdefault(node.name, args))
    total = sum(
        reader.read(layer.node, given[layer.node][0]) @ model.get_parameter(layer.weight).T
        for layer in graph.layers
        if layer.name.startswith("network.a")
    )
    biases = sum(p for path, p in model.network.a.named_parameters() if path.endswith("bias"))
    with torch.no_grad():
        expected = heard(model.network.a, lambda: model(nodes))[[7]] - biases
    assert torch.allclose(total, expected)

    # law 2: the cut network is the source whose dropped hidden channels are set to zero
    labels = torch.arange(NODES) % CLASSES
    planned = ml.plan(
        model, model.batches(range(NODES), labels), classes=[2, 0], graph=graph, sampling="all",
    )  # fmt: skip
    wanted = torch.rand(graph.width, generator=torch.Generator().manual_seed(1)) < 0.5
    selection = select(graph, wanted, logits=(2, 0), scores=torch.zeros(graph.width, dtype=torch.float64))
    kept = selection.keep[graph.layers[-1].inputs]
    component = ml.cut(model, replace(planned, selection=selection))
    handle = model.network.a.register_forward_hook(lambda _, __, given: given * kept)
    expected = model(nodes)[:, [2, 0]]
    handle.remove()
    assert torch.allclose(component(nodes), expected, atol=1e-12)
    linear = component.module.network.b.get_submodule(graph.layers[-1].name.rpartition(".b.")[2])
    assert (linear.in_channels, linear.out_channels) == (int(kept.sum()), 2)


def test_attention_over_edges_reads_across_channels_and_says_so():
    model = classifier("GATConv")
    with pytest.raises(RefusedError, match="an operator reads across them"):
        ml.trace(model, torch.zeros(2, 1, dtype=torch.float64))

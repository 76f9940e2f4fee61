"""Networks over the nodes of a graph: what a layer reads of a node, and that all verbs take them as classifiers."""

import functools
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import model_lego as ml
from model_lego.errors import BadBatches, BadConfig, LegoError
from model_lego.graph import select
from model_lego.graph.node_rows import Reader
from tests.support.tiny.graphs import (
    CLASSES,
    FEATURES,
    GRAPHS,
    HIDDEN,
    NODES,
    Convolution,
    Two,
    edges,
    means,
    normalised,
    read_by,
)

LABELS = torch.arange(NODES) % CLASSES
NAMES = ("a", "b", "c", "d")


def classifier(name, *, dtype=torch.float64):
    build, given = GRAPHS[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network, features = build(), torch.randn(NODES, FEATURES, dtype=torch.float64)
    return on_edges(network, features, given()).to(dtype)


@functools.cache
def traced(name):
    """A network and its graph, which no test may change."""
    model = classifier(name)
    return model, ml.trace(model, numbers(0, 1))


def on_edges(network, features=None, given=None):
    if features is None:
        features = torch.randn(NODES, FEATURES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return ml.NodeClassifier(network.double(), features, edges() if given is None else given).eval()


def everybody(model):
    return model.batches(range(NODES), LABELS, size=7)


def numbers(*nodes):
    return torch.tensor(nodes, dtype=torch.float64)[:, None]


def disassembled(model, classes, **options):
    return ml.disassemble(model, everybody(model), classes=classes, sampling="all", **options)


def run(model):
    """All logits, and what each layer reads at all nodes, heard by hooks on the network itself."""
    heard, handles = {}, []
    for path, module in model.network.named_modules():
        if isinstance(module, nn.Linear):
            handles.append(module.register_forward_pre_hook(lambda _, x, path=path: heard.update({path: x[0]})))
    with torch.no_grad():
        logits = model.network(model.features, *model.edges)
    for handle in handles:
        handle.remove()
    return logits, heard


def halved(graph, *, logits=range(CLASSES)):
    wanted = torch.rand(graph.width, generator=torch.Generator().manual_seed(3)) < 0.5
    return select(graph, wanted, logits=logits, scores=torch.rand(graph.width, dtype=torch.float64))


def test_the_matrices_of_the_edges_are_what_the_networks_do():
    """A X by the matrices of tests/support/tiny/graphs.py is what the layers compute."""
    model = classifier("convolution")
    a, b = model.network.a, model.network.b
    with torch.no_grad():
        hidden = torch.relu(normalised() @ model.features @ a.linear.weight.T + a.bias)
        assert torch.allclose(normalised() @ hidden @ b.linear.weight.T + b.bias, run(model)[0])
    model = classifier("mean")
    assert torch.allclose(run(model)[1]["a.others"], means() @ model.features)


@pytest.mark.parametrize("name", GRAPHS)
def test_it_gives_the_logits_of_the_nodes_that_are_asked_for(name):
    model = classifier(name)
    assert torch.equal(model(numbers(4, 19, 4)), run(model)[0][[4, 19, 4]])


@pytest.mark.parametrize("name", GRAPHS)
def test_all_hidden_channels_can_be_cut_and_the_features_are_kept(name):
    graph = traced(name)[1]
    assert int(graph.cuttable.sum()) == HIDDEN
    assert [freeze.reason for freeze in graph.freezes] == ["the features (model_lego.given)"]


@pytest.mark.parametrize("name", GRAPHS)
def test_contributions_are_of_what_a_node_reads_along_its_edges(name):
    """Equation (3) in plain loops: relu(W[q, p] (M x)[i, p]), summed over the nodes of a class."""
    model, graph = traced(name)
    stats = ml.attribute(model, everybody(model), graph=graph, sampling="all")
    _, heard = run(model)
    for path, matrix in read_by(name).items():
        weight, read = model.network.get_submodule(path).weight, heard[path]
        sums = torch.zeros(CLASSES, *weight.shape, dtype=torch.float64)
        for node in range(NODES):
            row = sum(matrix[node, other] * read[other] for other in range(NODES))
            for q in range(len(weight)):
                sums[LABELS[node], q] += torch.stack([max(weight[q, p] * row[p], row[p] * 0) for p in range(len(row))])
        for label in range(CLASSES):
            assert torch.allclose(stats.layers[f"network.{path}"].summed(label), sums[label].detach()), path


@pytest.mark.parametrize("name", GRAPHS)
def test_a_cut_is_the_source_with_its_other_channels_at_zero(name):
    model, graph = classifier(name), traced(name)[1]
    selection = halved(graph, logits=(3, 1))
    planned = ml.plan(model, everybody(model), classes=[3, 1], graph=graph, sampling="all")
    hidden = graph.layers[-1].inputs
    kept = selection.keep[hidden]
    assert 0 < int(kept.sum()) < HIDDEN
    component = ml.cut(model, replace(planned, selection=selection))
    assert {
        p.shape[-1] for n, p in component.module.network.named_parameters() if n.startswith("b") and p.dim() == 2
    } == {int(kept.sum())}
    with torch.no_grad():
        for path in read_by(name):
            if path.startswith("b"):
                model.network.get_submodule(path).weight[:, ~kept] = 0
        assert torch.allclose(component(numbers(*range(NODES))), run(model)[0][:, [3, 1]], atol=1e-10)


@pytest.mark.parametrize("name", GRAPHS)
def test_keeping_everything_is_the_source_bit_for_bit(name):
    model, graph = traced(name)
    planned = ml.plan(model, everybody(model), classes=range(CLASSES), graph=graph, sampling="all")
    keep = torch.ones_like(planned.selection.keep)
    component = ml.cut(model, replace(planned, selection=ml.ChannelSelection(keep, tuple(range(CLASSES)))))
    assert torch.equal(component(numbers(*range(NODES))), model(numbers(*range(NODES))))


def test_batches_of_any_size_give_the_same_sums():
    model, graph = traced("convolution")
    one, all_ = (
        ml.attribute(model, model.batches(range(NODES), LABELS, size=size), graph=graph, sampling="all")
        for size in (1, NODES)
    )
    for name in one.layers:
        assert torch.allclose(one.mean(name, 2), all_.mean(name, 2), rtol=1e-12)


def test_a_layer_whose_outputs_go_two_ways_is_read_where_it_stands():
    class TwoWays(Two):
        def forward(self, x, matrix):
            x = self.a.linear(x)
            return self.b(torch.relu(x) + matrix @ x, matrix)

    model = on_edges(TwoWays(Convolution), given=normalised())
    model.network.b = GRAPHS["dense"][0]().double().b
    graph = ml.trace(model, numbers(0, 1))
    reader = Reader(graph.program, graph.rules, model)
    reader.start(numbers(5, 7))
    read = torch.randn(NODES, FEATURES, dtype=torch.float64)
    assert torch.equal(reader.read(graph.layers[0].node, read), read[[5, 7]])


def planted_network():
    """Hidden channels 2k and 2k + 1 read feature k and are read by logit k alone; the last two by nobody much."""
    network = Two(Convolution)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for k in range(CLASSES):
            network.a.linear.weight[2 * k : 2 * k + 2, k] = 1.0
            network.b.linear.weight[k, 2 * k : 2 * k + 2] = 1.0
        network.a.linear.weight[8:, 4] = 1.0
        network.b.linear.weight[:, 8:] = 1e-3
    return network


def test_what_was_planted_is_found():
    features = torch.zeros(NODES, FEATURES, dtype=torch.float64)
    features[torch.arange(NODES), LABELS] = 5.0
    features[:, 4] = 1.0
    same = torch.cat([edges(), torch.stack([torch.arange(NODES), (torch.arange(NODES) + CLASSES) % NODES])], 1)
    model = on_edges(planted_network(), features, same[:, LABELS[same[0]] == LABELS[same[1]]])
    graph = ml.trace(model, numbers(0, 1))
    for classes in ([1], [0, 3]):
        component = disassembled(model, classes, graph=graph, repair="none")
        expected = [channel for k in classes for channel in (2 * k, 2 * k + 1)]
        assert list(component.origin.kept_outputs["network.a.linear"]) == expected


@pytest.mark.parametrize("name", ["convolution", "dense", "mean"])
def test_repair_finds_what_kept_channels_can_say_of_removed_ones(name):
    """Each hidden channel is there twice: cut to one of each, the network can be repaired to what it was."""
    model = classifier(name)
    with torch.no_grad():
        for path in read_by(name):
            layer = model.network.get_submodule(path)
            if path.startswith("a"):
                layer.weight[HIDDEN // 2 :] = layer.weight[: HIDDEN // 2]
        bias = {"mean": "a.others.bias"}.get(name, "a.bias")
        parameter = model.network.get_parameter(bias)
        parameter[HIDDEN // 2 :] = parameter[: HIDDEN // 2]
    graph = ml.trace(model, numbers(0, 1))
    planned = ml.plan(model, everybody(model), classes=[2, 0], graph=graph, sampling="all")
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    wanted[graph.layers[-1].inputs[: HIDDEN // 2]] = True
    selection = select(graph, wanted, logits=(2, 0), scores=torch.rand(graph.width, dtype=torch.float64))
    plain = ml.cut(model, replace(planned, selection=selection))
    repaired = ml.repair(plain, model, everybody(model), method=ml.RepairSettings(strength=1e-9), graph=graph)
    source = model(numbers(*range(NODES)))[:, [2, 0]]
    assert (plain(numbers(*range(NODES))) - source).abs().max() > 0.1
    mine = numbers(*[node for node in range(NODES) if LABELS[node] in (0, 2)])
    assert torch.allclose(repaired(mine), model(mine)[:, [2, 0]], atol=1e-4)


def test_a_layer_whose_sum_has_no_place_for_an_intercept_is_left_alone():
    model, graph = traced("diffusing")
    component = disassembled(model, [0, 1], graph=graph)
    assert component.origin.settings["repair"]["left_alone"] == ["network.b"]
    assert component.origin.settings["repair"]["given_biases"] == []


def test_the_intercept_of_a_repair_goes_behind_the_sum():
    model, graph = traced("convolution")
    planned = ml.plan(model, everybody(model), classes=[0, 1], graph=graph, sampling="all")
    selection = halved(graph, logits=(0, 1))
    plain = ml.cut(model, replace(planned, selection=selection))
    mean = ml.repair(plain, model, everybody(model), method="mean", graph=graph)
    mine = numbers(*[node for node in range(NODES) if LABELS[node] in (0, 1)])
    assert torch.allclose(mean(mine).mean(0), model(mine)[:, [0, 1]].mean(0))
    assert not torch.equal(mean.module.network.b.bias, plain.module.network.b.bias)
    assert mean.module.network.b.linear.bias is None


def test_it_costs_the_pass_over_the_whole_graph():
    model, graph = traced("dense")
    component = disassembled(model, [0, 1], graph=graph, repair="none")
    assert component.origin.cost_before.macs == NODES * (FEATURES * HIDDEN + HIDDEN * CLASSES)


def test_a_component_is_measured_saved_and_loaded(tmp_path):
    model = classifier("convolution", dtype=torch.float32)
    component = disassembled(model, ["d", "a"], class_names=NAMES)
    against = ml.baselines(component, model, calibration=everybody(model))
    report = ml.evaluate(component, everybody(model), class_names=NAMES, baselines=against)
    assert {"source", "restricted", "random + repair", "magnitude"} <= {row.name for row in report.rows}
    ml.save(component, tmp_path / "part")
    saved = load_file(tmp_path / "part/model.safetensors")
    assert {name.partition("network.")[2] for name in saved} == {name for name, _ in model.network.named_parameters()}
    again = ml.load(tmp_path / "part", factory=lambda: classifier("convolution", dtype=torch.float32))
    nodes = numbers(*range(NODES)).float()
    assert torch.equal(again(nodes), component(nodes))


def test_a_budget_is_met():
    model, graph = traced("convolution")
    component = disassembled(model, [0, 1], graph=graph, budget=ml.Budget(params=0.4), repair="none")
    assert component.origin.cost_after.parameters <= 0.4 * component.origin.cost_before.parameters


def test_parts_of_two_networks_on_a_graph_are_joined():
    parts = [
        disassembled(traced(name)[0], names, class_names=all_names, graph=traced(name)[1])
        for name, names, all_names in (("dense", ["a", "b"], NAMES), ("mean", ["g", "h"], ("e", "f", "g", "h")))
    ]
    assembly = ml.assemble(parts, calibration=everybody(traced("dense")[0]))
    assert assembly.settings["no_features"]  # what these layers read is of all nodes
    assert assembly(numbers(3, 4, 5)).shape == (3, 4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ml.NodeClassifier(nn.Identity(), torch.ones(3)), "nodes x features"),
        (lambda: ml.NodeClassifier(nn.Identity(), torch.ones(3, 2).long()), "a float for each"),
        (lambda: classifier("dense").batches([NODES], LABELS), f"0 to {NODES - 1}"),
        (lambda: classifier("dense").batches([-1], LABELS), f"0 to {NODES - 1}"),
        (lambda: classifier("dense").batches([], LABELS), f"0 to {NODES - 1}"),
        (lambda: classifier("dense").batches([0], LABELS[:5]), f"the {NODES} nodes"),
        (lambda: ml.NodeClassifier(nn.Identity(), torch.ones(3000, 2))(torch.ones(1, 1).half()), "apart"),
    ],
)
def test_what_is_no_graph_is_refused_in_words(make, words):
    with pytest.raises((BadBatches, BadConfig), match=words) as found:
        make()
    assert isinstance(found.value, LegoError)

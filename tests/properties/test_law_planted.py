"""Law 9: what was planted is found; and the walk over the graph is the walk of the equations on plain networks.

The expected channels come from the planted network itself and from plain loops (tests/support/oracles.py).
"""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model_lego.attribution import Thresholds, attribute, locate, relevance
from model_lego.attribution.relevance import aggregate, allocate
from model_lego.cutting.tracing import trace
from model_lego.disassembly import disassembling
from model_lego.graph import ChannelGraph
from tests.support.oracles import kept_inputs, walk_plain
from tests.support.tiny_models import CLASSES, IMAGE, build, inputs, planted, randomize_batchnorm
from tests.support.whole_networks import ZOO
from tests.support.wired_networks import PLANTED, served, wire

#: conv alpha, conv beta, linear alpha, linear beta.
THRESHOLDS = [
    (0.3, 0.2, 0.4, 0.3),
    (0.1, 0.5, 0.2, 0.6),
    (0.6, 0.1, 0.8, 0.05),
    (0.5, 0.5, 0.5, 0.5),
    (0.05, 0.9, 0.05, 0.9),
    (0.9, 0.2, 0.9, 0.2),
    (0.3, 0.02, 0.4, 0.99),
]


def kept_at(graph: ChannelGraph, keep: Tensor, layer: str) -> set[int]:
    """Kept inputs of a layer, as its own input indices."""
    return set(keep[graph.layer(layer).inputs].nonzero().flatten().tolist())


@pytest.mark.parametrize("sampling", ["all", "confident"])
@pytest.mark.parametrize(("classes", "seed"), [(2, 0), (3, 1), (4, 2), (6, 3)])
def test_exactly_the_planted_channels_are_found(classes, seed, sampling):
    model, images, labels, expected = planted(classes, seed=seed)
    graph = trace(model, images[:2])
    batches = list(zip(images.split(5), labels.split(5), strict=True))
    stats = attribute(model, batches, graph=graph, sampling=sampling)
    for label in range(classes):
        keep = locate(graph, stats, classes=[label]).keep
        assert {layer: kept_at(graph, keep, layer) for layer in expected} == {
            layer: answer[label] for layer, answer in expected.items()
        }
    for pair in itertools.combinations(range(classes), 2):
        keep = locate(graph, stats, classes=pair).keep
        for layer, answer in expected.items():
            assert kept_at(graph, keep, layer) == answer[pair[0]] | answer[pair[1]]  # a component keeps the union


def test_the_component_of_a_planted_class_is_wired_through_the_planted_channels():
    model, images, labels, expected = planted(4, seed=1)
    batches = [(images, labels)]
    for label in range(4):
        component = disassembling.disassemble(
            model, batches, classes=[label, (label + 1) % 4], repair="none", thresholds=Thresholds()
        )
        for layer, answer in expected.items():
            both = answer[label] | answer[(label + 1) % 4]
            assert set(component.origin.kept_inputs[layer]) == both
            module = component.module.get_submodule(layer)
            assert module.weight.shape[1] == len(both)
            source = model.get_submodule(layer).weight
            outputs = list(component.origin.kept_outputs[layer]) if layer != "fc2" else [label, (label + 1) % 4]
            assert torch.equal(module.weight, source[outputs][:, sorted(both)])
        mine = torch.isin(labels, torch.tensor(component.labels))
        with torch.no_grad():
            found = component(images[mine]).argmax(dim=1)
        assert [component.labels[place] for place in found.tolist()] == labels[mine].tolist()


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_exactly_the_wired_channels_of_a_torchvision_network_are_found(name):
    model, images, labels = wire(name)
    graph = trace(model, images[:2])
    stats = attribute(model, [(images, labels)], graph=graph, classes=range(PLANTED), sampling="confident")
    assert not stats.fallbacks
    for classes in [(0,), (1,), (2,), (3,), (3, 1)]:
        keep = locate(graph, stats, classes=classes).keep
        for layer in graph.layers[1:]:  # the images' channels are never cut
            answer = served(name, layer.name, len(layer.inputs))
            expected = {place for place, label in enumerate(answer.tolist()) if label in classes}
            assert len(expected) < len(layer.inputs)
            assert kept_at(graph, keep, layer.name) == expected, (layer.name, classes)


# ------------------------------------------------------------------------- the whole walk, against the plain loops


def deep() -> nn.Sequential:
    """Strides, dilation, kernels that are not square, a global pool, three linear layers."""
    return nn.Sequential(
        *(nn.Conv2d(3, 9, (3, 1), stride=(1, 2), padding=(1, 0)), nn.ReLU()),
        *(nn.Conv2d(9, 11, 3, dilation=2, padding=2, bias=False), nn.BatchNorm2d(11), nn.ReLU()),
        *(nn.Conv2d(11, 7, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten(), nn.Dropout(0.3)),
        *(nn.Linear(14, 13), nn.ReLU(), nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, CLASSES)),
    )


def narrow() -> nn.Sequential:
    """One channel and few: the edges of equations (4) and (7) come up often."""
    return nn.Sequential(
        *(nn.Conv2d(3, 1, 3), nn.ReLU(), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, CLASSES)),
    )


def network(name: str, seed: int) -> nn.Sequential:
    if name in ("plain", "plain_nobn"):
        return build(name, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = {"deep": deep, "narrow": narrow}[name]()
    randomize_batchnorm(model, torch.Generator().manual_seed(seed))
    return model.double().eval()


def compare(model: nn.Sequential, x: Tensor, labels: Tensor, graph: ChannelGraph, values: tuple[float, ...]) -> bool:
    """Compare the relevant inputs of every layer for every class; gives whether some channel was not relevant."""
    thresholds = Thresholds(*values)
    stats = attribute(model, [(x, labels)], graph=graph, sampling="all")
    found = relevance(graph, stats, classes=range(CLASSES), thresholds=thresholds)
    names = dict(zip(("alpha_conv", "beta_conv", "alpha_linear", "beta_linear"), values, strict=True))
    first, some_not_relevant = graph.layers[0].name, False
    for label in range(CLASSES):
        expected = walk_plain(model, x[labels == label], label, **names)
        keep = locate(graph, stats, classes=[label], thresholds=thresholds).keep
        for layer in graph.layers:
            if layer.name == first:
                continue  # the images' channels are never cut
            assert kept_at(graph, found.hard[label], layer.name) == expected[layer.name], (layer.name, label)
            assert kept_at(graph, keep, layer.name) == expected[layer.name]
            some_not_relevant |= len(expected[layer.name]) < len(layer.inputs)
    return some_not_relevant


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["plain", "plain_nobn", "deep", "narrow"])
def test_the_walk_is_that_of_the_equations(name, seed):
    model, x = network(name, seed), inputs("plain", batch=15, seed=seed)
    graph = trace(model, torch.zeros(2, *IMAGE, dtype=torch.float64))
    labels = torch.arange(15) % CLASSES
    cut = [compare(model, x, labels, graph, values) for values in THRESHOLDS]
    assert all(cut) or name == "narrow"


# ------------------------------------------------------------------------------ equations (4)-(8) of one layer alone


def found_inputs(s: Tensor, alpha: float, beta: float) -> set[int]:
    """The library's relevant inputs of a layer with contributions `s` (out x in, averaged), all outputs relevant."""
    return set(allocate(aggregate(s, alpha)[1], s.sum(0), beta)[1].nonzero().flatten().tolist())


def contributions(outputs: int, inputs_: int, seed: int) -> Tensor:
    """Random s+ of out x in, about half of it zero, but something in each row."""
    generator = torch.Generator().manual_seed(seed)
    s = torch.randn(outputs, inputs_, generator=generator, dtype=torch.float64).clamp(min=0)
    s[:, seed % inputs_] += 0.01
    return s


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(0, 10_000),
    st.sampled_from([0.05, 0.3, 0.4, 0.7, 0.95]),
    st.sampled_from([0.05, 0.2, 0.3, 0.7, 0.95]),
)
def test_one_layer_is_that_of_the_equations(outputs, width, seed, alpha, beta):
    s = contributions(outputs, width, seed)
    expected = kept_inputs(s[None], range(outputs), alpha=alpha, beta=beta)
    assert found_inputs(s, alpha, beta) == expected


def test_equal_contributions_and_none_at_all():
    for s in (torch.full((2, 3), 0.7), torch.zeros(2, 3), torch.tensor([[0.4], [0.2]]), torch.zeros(1, 1)):
        wide = s.double()
        assert found_inputs(wide, 0.3, 0.2) == kept_inputs(wide[None], range(len(s)), alpha=0.3, beta=0.2)
    assert found_inputs(torch.full((2, 3), 0.7, dtype=torch.float64), 0.3, 0.2) == {0, 1, 2}
    assert len(found_inputs(torch.zeros(2, 3, dtype=torch.float64), 0.3, 0.2)) == 1


def test_contributions_that_differ_by_rounding_only_are_equal():
    s = torch.full((1, 4), 0.7, dtype=torch.float64)
    s[0, 2] *= 1 + 1e-15
    assert found_inputs(s, 0.3, 0.2) == kept_inputs(s[None], [0], alpha=0.3, beta=0.2) == {0, 1, 2, 3}


def test_an_output_that_nothing_adds_to_votes_as_the_method_says():
    s = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.5], [0.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    assert found_inputs(s, 0.3, 0.3) == kept_inputs(s[None], range(5), alpha=0.3, beta=0.3)

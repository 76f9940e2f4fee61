"""decision_routes: edges and contributions against the equations, images, what classes share."""

import math

import numpy as np
import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig, EmptySelection, ShapeMismatch, UnknownClass
from model_lego.routes.nouns import Edges
from model_lego.routes.similarity import jaccard, linkage
from tests.support.oracles import (
    contributions_conv,
    contributions_linear,
    hard_aggregation,
    kept_inputs,
    mean_contribution,
    normalised,
    walk_plain,
)
from tests.support.plans import traced
from tests.support.tiny_models import CLASSES, inputs, planted

LABELS = torch.arange(15) % CLASSES


def plain():
    model, graph = traced("plain")
    images = inputs("plain", batch=15)
    return model, graph, images, ml.attribute(model, [(images, LABELS)], graph=graph, sampling="all")


def of_planted(classes=(0, 1, 2, 3)):
    """The routes of some of four planted classes, and the kept inputs of each layer for each of them."""
    model, images, labels, expected = planted(4)
    graph = ml.trace(model, images[:2])
    stats = ml.attribute(model, [(images, labels)], graph=graph, sampling="all")
    routes = ml.decision_routes(model, stats, classes, graph=graph)
    return routes, {layer: {label: kept[label] for label in classes} for layer, kept in expected.items()}


def test_edges_of_the_last_layer_are_those_of_the_equations():
    model, graph, images, stats = plain()
    routes = ml.decision_routes(model, stats, range(CLASSES), graph=graph)
    layer = routes.layers[-1]
    *body, last = model
    x = torch.nn.Sequential(*body)(images).detach()
    for label, edges in enumerate(layer.edges):
        s = contributions_linear(x[label == LABELS], last.weight.detach())
        row = mean_contribution(s)[label]
        kept = kept_inputs(s, [label], alpha=0.4, beta=0.3)
        passed = {place for place in kept if hard_aggregation(row[None], 0.4)[0, place]}
        assert set(edges.inputs.tolist()) == passed
        assert set(edges.outputs.tolist()) == {label}
        strengths = normalised(row)
        np.testing.assert_allclose(edges.strengths, strengths[edges.inputs], rtol=1e-6)
        np.testing.assert_allclose(layer.contributions[label], strengths, rtol=1e-6)


def test_contributions_are_the_mean_over_the_relevant_outputs():
    model, graph, images, stats = plain()
    layer = ml.decision_routes(model, stats, range(CLASSES), graph=graph).layer("4")
    x = model[:4](images).detach()
    for label in range(CLASSES):
        features = walk_plain(model, images[label == LABELS], label)["9"]
        relevant = sorted({feature // 9 for feature in features})  # maps of 3 x 3 pixels are flattened
        assert len(relevant) > 1
        assert layer.outputs[label].nonzero().flatten().tolist() == relevant
        s = mean_contribution(contributions_conv(x[label == LABELS], model[4].weight.detach(), padding=1))
        rows = torch.stack([normalised(s[output]) for output in relevant])
        np.testing.assert_allclose(layer.contributions[label], rows.mean(0), rtol=1e-5)
        passed = {
            (place, output)
            for output in relevant
            for place in walk_plain(model, images[label == LABELS], label)["4"]
            if normalised(s[output])[place] >= 0.3
        }
        edges = layer.edges[label]
        assert set(zip(edges.inputs.tolist(), edges.outputs.tolist(), strict=True)) == passed


def test_a_flattened_channel_is_one_channel():
    routes, expected = of_planted()
    layer = routes.layer("fc1")
    pixels = len(expected["fc1"][0]) // len({feature // 4 for feature in expected["fc1"][0]})
    for label, edges in enumerate(layer.edges):
        assert set(edges.inputs.tolist()) == {feature // pixels for feature in expected["fc1"][label]}
        assert set(edges.outputs.tolist()) == expected["fc2"][label]
    assert layer.inputs.shape[1] == routes.layer("conv2").outputs.shape[1]


def test_what_was_planted_is_shared_or_not():
    routes, expected = of_planted()
    layer = routes.layer("conv1")
    every = [expected["conv2"][label] for label in range(4)]
    assert [set(row.nonzero().flatten().tolist()) for row in layer.outputs] == every
    shared = {channel for channel in set().union(*every) if sum(channel in one for one in every) > 1}
    assert set(layer.shared.nonzero().flatten().tolist()) == shared
    assert set(layer.unused.nonzero().flatten().tolist()) == set(range(layer.outputs.shape[1])) - set().union(*every)
    pairs = [[len(one & other) / len(one | other) for other in every] for one in every]
    np.testing.assert_allclose(layer.overlap(), pairs)


def test_unused_counts_the_channels_that_can_be_cut():
    routes, expected = of_planted([0, 1, 2])  # the fourth logit is not used, and does not count
    used = {
        "conv2": set().union(*expected["conv2"].values()),
        "fc1": {feature // 4 for feature in set().union(*expected["fc1"].values())},
        "fc2": set().union(*expected["fc2"].values()),
    }
    whole = sum(len(routes.layer(layer).reads) for layer in used)
    assert routes.unused == pytest.approx(1 - sum(map(len, used.values())) / whole)


def test_overlap_is_the_mean_over_layers_that_can_differ():
    routes, _ = of_planted()
    assert [layer.name for layer in routes.compared] == ["conv1", "conv2", "fc1"]
    mean = sum(layer.overlap() for layer in routes.compared) / 3
    np.testing.assert_allclose(routes.overlap(), mean)
    assert routes.overlap().diagonal().tolist() == [1.0] * 4


def test_jaccard_of_sets():
    used = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    found = jaccard(used)
    assert found[0].tolist()[:2] == [1.0, 0.25]
    assert found[0, 2] == 0
    assert math.isnan(found[2, 2])


def test_the_most_alike_are_joined_first():
    distances = torch.tensor([[0.0, 0.9, 0.2], [0.9, 0.0, 0.7], [0.2, 0.7, 0.0]], dtype=torch.float64)
    assert linkage(distances).tolist() == [[0.0, 2.0, 0.2, 2.0], [1.0, 3.0, pytest.approx(0.8), 3.0]]
    assert linkage(distances[:1, :1]).shape == (0, 4)


def test_the_strongest_edges_into_each_output():
    edges = Edges(torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0.2, 0.9, 0.5, 0.3, 0.1]))
    some = edges.strongest(3)
    assert list(zip(some.inputs.tolist(), some.outputs.tolist(), strict=True)) == [(1, 0), (2, 0), (0, 1)]
    assert len(edges.strongest(10)) == 4
    assert len(edges.strongest(10, per_output=1)) == 2
    assert len(edges.strongest(0)) == len(edges.strongest(0).strongest(5)) == 0


def test_an_image_is_routed_by_itself_to_the_answer_of_the_network():
    model, graph, images, stats = plain()
    names = [f"class {label}" for label in range(CLASSES)]
    routes = ml.decision_routes(model, stats, [2], graph=graph, images=images[3:5], class_names=names)
    answers = model(images[3:5]).argmax(1).tolist()
    assert routes.names == ("class 2", *(f"image {place} ({names[label]})" for place, label in enumerate(answers)))
    assert (routes.labels, routes.images) == ((2, *answers), 2)
    alone = ml.attribute(
        model, [(images[4:5], torch.tensor(answers[1:]))], graph=graph, classes=answers[1:], sampling="all"
    )
    same = ml.decision_routes(model, alone, answers[1:], graph=graph)
    assert torch.equal(routes.relevant[2], same.relevant[0])
    only = ml.decision_routes(model, None, graph=graph, images=images[4:5])
    assert torch.equal(only.relevant, same.relevant)


def test_what_cannot_be_routed_is_refused():
    model, graph, images, stats = plain()
    with pytest.raises(EmptySelection, match="no class and no image"):
        ml.decision_routes(model, stats, graph=graph)
    with pytest.raises(BadConfig, match="need their statistics"):
        ml.decision_routes(model, None, [0], graph=graph)
    with pytest.raises(BadConfig, match="another network"):
        ml.decision_routes(traced("plain_nobn")[0], stats, [0], graph=graph)
    with pytest.raises(ShapeMismatch, match=r"shape \(12, 12\), but the network takes \(3, 12, 12\)"):
        ml.decision_routes(model, None, graph=graph, images=images[0])
    with pytest.raises(ShapeMismatch, match="no image"):
        ml.decision_routes(model, None, graph=graph, images=images[:0])
    with pytest.raises(BadConfig, match="1 names were given for 2 images"):
        ml.decision_routes(model, None, graph=graph, images=images[:2], image_names=["one"])
    with pytest.raises(UnknownClass):
        ml.decision_routes(model, stats, ["cat"], graph=graph)


def test_routes_as_a_table_and_as_json():
    routes, _ = of_planted()
    assert "channels written by" in str(routes)
    assert str(routes).splitlines()[1].startswith("conv1")
    told = routes.to_dict()
    assert told["layers"][0]["relevant"][routes.names[0]] == routes.layers[0].outputs[0].nonzero().flatten().tolist()
    assert told["layers"][-1]["overlap"][0][0] is None  # logits cannot be cut

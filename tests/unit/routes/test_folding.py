"""Folding: where the waists are, and strengths along all paths."""

import itertools

import numpy as np
import pytest
import torch

import model_lego as ml
from model_lego.routes.folding import LEAST, steps
from tests.support.plans import traced
from tests.support.tiny_models import CLASSES, inputs


def routes_of(name):
    model, graph = traced(name)
    images = inputs(name, batch=15)
    stats = ml.attribute(model, [(images, torch.arange(15) % CLASSES)], graph=graph, sampling="all")
    return ml.decision_routes(model, stats, [0, 1], graph=graph)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("plain", [1, 1, 1, 1]),
        ("residual", [1, 2, 3, 2, 1]),  # a block with a shortcut of its own has three layers
        ("dense", [1, 4, 3]),  # everything is read again until the transition
    ],
)
def test_waists_lie_behind_layers_and_blocks(name, folded):
    found = steps(routes_of(name))
    assert [len(step.layers) for step in found] == folded


def test_inception_modules_are_folded_whole():
    found = steps(routes_of("concat"))
    assert [step.name for step in found[1:3]] == ["2", "3"]
    assert len(found[1].writes) == len(found[2].reads) == 24


def test_what_no_layer_writes_stands_in_the_column_before_its_reader():
    first, second, _ = steps(routes_of("weight_norm"))  # the layer between computes its weight: nothing is known of it
    assert second.layers[0].name == "3.0"
    assert bool(torch.isin(second.layers[0].reads, second.reads).all())
    assert [len(edges) for edges in second.edges] == [len(edges) for edges in second.layers[0].edges]
    assert len(first.writes) == 8 + 12


def test_a_layer_alone_keeps_its_edges():
    routes = routes_of("plain")
    for step in steps(routes):
        assert step.name == step.layers[0].name
        assert step.edges == step.layers[0].edges


def test_more_is_folded_where_there_are_many():
    routes = routes_of("residual")
    found = steps(routes, most=3)
    assert [len(step.layers) for step in found] == [3, 5, 1]
    assert torch.equal(found[0].reads, routes.layers[0].reads)


@pytest.mark.parametrize("name", ["residual", "concat"])
def test_strengths_are_sums_over_paths(name):
    routes = routes_of(name)
    for step, subject in itertools.product(steps(routes), range(2)):
        if len(step.layers) == 1:
            continue
        used = routes.relevant[subject]
        expected = along(step, subject, used)
        found = np.zeros_like(expected)
        edges = step.edges[subject]
        found[edges.outputs, edges.inputs] = edges.strengths
        np.testing.assert_allclose(found, np.where(expected >= LEAST, expected, 0), atol=1e-5)


def along(step, subject, used):
    """The strengths of a step as outputs x inputs: products along each path, summed, the strongest of an output 1."""
    carried = {channel: {channel: 1.0} for channel in step.reads[used[step.reads]].tolist()}
    for layer in step.layers:
        for channel, row in added(layer, layer.edges[subject], carried).items():
            for start, value in row.items():
                before = carried.setdefault(channel, {})
                before[start] = before.get(start, 0.0) + value
    table = np.zeros((len(step.writes), len(step.reads)))
    for row, channel in enumerate(step.writes.tolist()):
        if used[channel]:
            table[row] = [carried.get(channel, {}).get(start, 0.0) for start in step.reads.tolist()]
            table[row] /= max(table[row].max(), 1e-12)
    return table


def added(layer, edges, carried):
    """What a layer writes: for each output channel the sums over its edges, by the channel where a path started."""
    rows = {}
    for place, output, strength in zip(
        *(each.tolist() for each in (edges.inputs, edges.outputs, edges.strengths)), strict=True
    ):
        row = rows.setdefault(int(layer.writes[output]), {})
        for start, value in carried.get(int(layer.reads[place]), {}).items():
            row[start] = row.get(start, 0.0) + value * strength
    return rows

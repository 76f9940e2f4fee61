"""Routes show what a component keeps, and only contributions that count."""

import functools
from itertools import pairwise

import pytest
import torch

import model_lego as ml
from model_lego.routes.folding import steps
from tests.support.plans import traced
from tests.support.tiny_models import TINY, inputs


@functools.cache
def found(name):
    model, graph = traced(name)
    images = inputs(name, batch=2 * len(graph.head))
    labels = torch.arange(len(images)) % len(graph.head)
    stats = ml.attribute(model, [(images, labels)], graph=graph, sampling="all")
    classes = list(range(min(3, len(graph.head))))
    return graph, stats, classes, ml.decision_routes(model, stats, classes, graph=graph)


@pytest.mark.parametrize("name", TINY)
def test_routes_show_what_a_component_keeps(name):
    graph, stats, classes, routes = found(name)
    keep = ml.locate(graph, stats, classes=classes).keep
    shown = routes.relevant.any(0) & ~graph.is_head
    if graph.balances or graph.attention:  # blocks are filled up for the cut
        assert not bool((shown & ~keep).any())
    else:
        grouped = graph.group_of >= 0
        untouched = torch.zeros_like(keep)
        for group in graph.groups:  # of a group that no class uses the cut keeps one
            untouched[group.channels] = not bool(shown[group.channels].any())
        assert torch.equal(shown[grouped & ~untouched], (keep & ~graph.is_head)[grouped & ~untouched])


@pytest.mark.parametrize("name", TINY)
def test_edges_lead_from_relevant_inputs_to_relevant_outputs(name):
    graph, _, classes, routes = found(name)
    reached = torch.zeros(len(classes), graph.width, dtype=torch.bool)
    for layer in routes.layers:
        assert torch.equal(layer.inputs, routes.relevant[:, layer.reads])
        assert torch.equal(layer.outputs, routes.relevant[:, layer.writes])
        for subject, edges in enumerate(layer.edges):
            assert bool(layer.inputs[subject][edges.inputs].all())
            assert bool(layer.outputs[subject][edges.outputs].all())
            assert bool(((edges.strengths >= 0) & (edges.strengths <= 1)).all())
            assert len(set(zip(edges.inputs.tolist(), edges.outputs.tolist(), strict=True))) == len(edges)
            reached[subject, layer.reads[edges.inputs]] = True
    multiplied = torch.zeros(graph.width, dtype=torch.bool)
    for product in graph.products:  # what reads queries and keys is no layer
        multiplied[product.operands[0].flatten()] = True
    unfounded = routes.relevant & ~reached & ~graph.frozen & ~graph.is_head & ~multiplied
    assert not bool(unfounded.any())  # what is relevant is so because something relevant reads it


@pytest.mark.parametrize("name", TINY)
def test_folded_routes_go_from_column_to_column(name):
    _, _, _, routes = found(name)
    folded = steps(routes)
    assert [layer.name for step in folded for layer in step.layers] == [layer.name for layer in routes.layers]
    for before, after in pairwise(folded):
        assert torch.equal(before.writes, after.reads)
    for step in folded:
        through = torch.isin(step.writes, torch.cat([step.reads, *(layer.writes for layer in step.layers)]))
        for subject, edges in enumerate(step.edges):
            assert bool(routes.relevant[subject][step.reads[edges.inputs]].all())
            assert bool(routes.relevant[subject][step.writes[edges.outputs]].all())
            assert bool(through[edges.outputs].all())  # nothing leads to what comes from no layer

"""Networks made ready to run often give what the network gives, and attribution what it gives in float64."""

import copy

import pytest
import torch

from model_lego.attribution import attribute
from model_lego.graph import runner
from model_lego.graph.runner import running
from tests.support.plans import traced
from tests.support.tiny_models import OTHER, TINY, inputs

#: A network with a tensor in double precision written into it has no single precision.
SINGLE = [name for name in TINY if name != "constants"]


def in_single(name):
    model, graph = traced(name)
    return copy.deepcopy(model).float().eval(), graph


@pytest.mark.parametrize("name", [*SINGLE, *OTHER])
def test_it_gives_what_the_network_gives_with_channels_innermost(name):
    model, graph = in_single(name)
    x = inputs(name, batch=5).float()
    ready = running(graph.program, model)
    assert ready.channels_last == (x.dim() == 4)
    with torch.no_grad():
        logits = torch.cat([ready.run(some) for some in ready.portions(x)])
        expected = model(x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", SINGLE)
def test_sums_are_those_of_the_network_in_double_precision(name):
    model, graph = in_single(name)
    images = inputs(name, batch=12)
    labels = torch.arange(12) % len(graph.head)
    single = attribute(model, [(images.float(), labels)], graph=graph, sampling="all")
    double = attribute(traced(name)[0], [(images, labels)], graph=graph, sampling="all")
    for layer in double.layers:
        for label in double.classes:
            ours, expected = single.mean(layer, label), double.mean(layer, label)
            torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4 * float(expected.max()), msg=layer)


def test_double_precision_runs_as_it_is():
    model, graph = traced("plain")
    assert not running(graph.program, model).channels_last


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_portions_are_the_batch(count, monkeypatch):
    model, graph = traced("plain")
    monkeypatch.setattr(runner, "_at_once", lambda program: 4)
    ready = running(graph.program, model)
    x = inputs("plain", batch=9)[:count]
    portions = ready.portions(x)
    assert torch.equal(torch.cat(portions), x)
    assert max(map(len, portions)) <= 4

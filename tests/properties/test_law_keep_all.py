"""Law 1: keep everything, with no repair and no rounding, and the result is the source, bit for bit."""

import dataclasses

import pytest
import torch

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.disassembly import disassembling
from model_lego.graph import keep_all
from tests.support.plans import traced
from tests.support.tiny_models import CLASSES, OTHER, TINY, build, inputs
from tests.support.whole_networks import ZOO, zoo_images, zoo_model

#: Never called, or in training only: these modules are taken out even where everything is kept.
DROPPED = {"dead_branch": ("unused",), "auxiliary": ("auxiliary",)}


def run(model, x):
    with torch.no_grad():
        return model(x)


def same_tensors(kept, source, *, dropped=()):
    """The state dict of a copy is that of its source, but for the modules that were dropped."""
    ours, theirs = kept.state_dict(), source.state_dict()
    gone = {name for name in theirs if name.startswith(tuple(f"{module}." for module in dropped))}
    assert set(ours) == set(theirs) - gone
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype
        assert torch.equal(tensor, theirs[name]), name
        assert tensor.data_ptr() != theirs[name].data_ptr(), name  # a copy, not the source itself


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_keeping_all_gives_the_source(name):
    (model, graph), x = traced(name), inputs(name, batch=5)
    made = slice_model(model, graph, keep_all(graph))
    assert type(made.module) is type(model)
    assert made.attributes == {}
    assert made.dropped == DROPPED.get(name, ())
    same_tensors(made.module, model, dropped=made.dropped)
    assert torch.equal(run(made.module, x), run(model, x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_keeping_all_gives_the_source_in_other_data_types(dtype):
    model, x = build("residual", dtype=dtype), inputs("residual", batch=5, dtype=dtype)
    graph = trace(model, x[:2])
    made = slice_model(model, graph, keep_all(graph))
    same_tensors(made.module, model)
    assert torch.equal(run(made.module, x), run(model, x))


@pytest.mark.parametrize("name", ["plain", "residual", "grouped", "shuffle", "in_place", "multi_linear", "prelu"])
def test_keeping_all_trains_like_the_source(name):
    model, x = build(name).train(), inputs(name, batch=6)
    graph = traced(name)[1]
    kept = slice_model(model, graph, keep_all(graph)).module
    results = []
    for network in (model, kept):
        torch.manual_seed(3)  # dropout
        network(x).square().sum().backward()
        results.append([p.grad for p in network.parameters()] + [b.clone() for b in network.buffers()])
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_a_component_of_everything_gives_the_source(name):
    (model, graph), x = traced(name), inputs(name, batch=6)
    batches = [(x, torch.arange(6) % CLASSES)]
    planned = disassembling.plan(model, batches, classes=range(CLASSES), sampling="all", graph=graph)
    planned = dataclasses.replace(planned, selection=keep_all(planned.graph))
    component = disassembling.cut(model, planned)
    same_tensors(component.module, model, dropped=DROPPED.get(name, ()))
    assert torch.equal(run(component, x), run(model, x))
    assert component.labels == tuple(range(CLASSES))
    assert component.origin.attributes == {}
    before, after = component.origin.cost_before, component.origin.cost_after
    assert after.macs == before.macs
    assert (after.parameters == before.parameters) == (name not in DROPPED)


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_keeping_all_of_a_torchvision_network_gives_the_source(name):
    model = zoo_model(name)
    graph = trace(model, zoo_images(2))
    made = slice_model(model, graph, keep_all(graph))
    if not made.dropped:  # GoogLeNet's auxiliary heads are in no operator
        same_tensors(made.module, model)
    assert bool(made.dropped) == (name == "googlenet")
    assert torch.equal(run(made.module, zoo_images(3, seed=1)), run(model, zoo_images(3, seed=1)))


def test_the_order_of_the_classes_is_the_order_that_was_asked_for():
    (model, graph), x = traced("plain"), inputs("plain", batch=6)
    order = [3, 0, 4, 1, 2]
    batches = [(x, torch.arange(6) % CLASSES)]
    planned = disassembling.plan(model, batches, classes=order, sampling="all", graph=graph)
    everything = dataclasses.replace(keep_all(planned.graph), logits=tuple(order))
    component = disassembling.cut(model, dataclasses.replace(planned, selection=everything))
    torch.testing.assert_close(run(component, x), run(model, x)[:, order], rtol=1e-12, atol=1e-12)

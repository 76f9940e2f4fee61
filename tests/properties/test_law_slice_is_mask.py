"""Law 2: the sliced network equals the source with the dropped channels zeroed at the input of every mixing operator.

What is expected comes from the source run with hooks that zero (tests/support/oracles.py), not from our own masking.
Whole networks of torchvision and timm are put to it in tests/networks.
"""

import pytest
import torch
from torch import Tensor, nn

from model_lego.cutting.slicing import slice_model
from model_lego.graph import ChannelGraph, ChannelSelection
from tests.support.oracles import masked_forward
from tests.support.plans import FREEZING, half_plan, kept_inputs, lost, some_logits, traced
from tests.support.tiny_models import OTHER, TINY, inputs

SEED = 0  # one plan a network; random ones are those of tests/fuzz
ALIKE = 1e-8  # largest difference to the masked source, in parts of the largest logit
CHANGED = 1e-3  # what the mask has to change at least, in parts of the largest logit

#: Networks in which no channel at all can be cut, with the reason; every other one has to lose channels.
NOTHING_TO_CUT: dict[str, str] = {}


def expected_logits(name: str, model: nn.Module, x: Tensor, graph: ChannelGraph, plan: ChannelSelection) -> Tensor:
    logits = masked_forward(model, x, kept_inputs(graph, plan))[:, list(plan.logits)]
    return logits.log_softmax(1) if name == "log_softmax_head" else logits  # over fewer classes it adds up to one again


def check(name: str, model: nn.Module, graph: ChannelGraph, x: Tensor, seed: int) -> None:
    plan = half_plan(graph, seed=seed, logits=some_logits(graph, seed=seed))
    assert list(plan.logits) != sorted(plan.logits)  # the order of the logits is put to the test too
    groups = lost(graph, plan)
    assert all(count > 0 for count, _ in groups.values()), groups
    assert bool(groups) != (name in NOTHING_TO_CUT)
    expected = expected_logits(name, model, x, graph, plan)
    with torch.no_grad():
        whole = model(x)[:, list(plan.logits)]
        found = slice_model(model, graph, plan).module(x)
    largest = expected.abs().max()
    assert found.shape == (len(x), len(plan.logits))
    assert (found - expected).abs().max() <= ALIKE * largest
    if name not in NOTHING_TO_CUT:
        assert (expected - whole).abs().max() > CHANGED * largest


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_a_slice_of_a_tiny_network_is_its_mask(name):
    model, graph = traced(name)
    check(name, model, graph, inputs(name, batch=5, seed=SEED + 1), SEED)


@pytest.mark.parametrize("name", [*TINY, *OTHER])
def test_what_cannot_be_cut_is_said_with_its_layer_and_nothing_else_is_frozen(name):
    graph = traced(name)[1]
    expected = FREEZING.get(name, [])
    for where, reason in expected:
        assert any(freeze.where == where and reason in freeze.reason for freeze in graph.freezes), (where, reason)
        assert reason in str(graph)
    for freeze in graph.freezes:
        assert any(freeze.where == where or freeze.where.startswith(f"{where}.") for where, _ in expected), freeze
    frozen = [group for group in graph.groups if bool(graph.frozen[group.channels].any())]
    assert bool(frozen) == bool(expected)
    assert all(group.frozen for group in frozen)  # a group that is held says why


@pytest.mark.parametrize("name", FREEZING)
def test_a_plan_keeps_what_is_frozen(name):
    graph = traced(name)[1]
    plan = half_plan(graph, seed=5, logits=[1])
    assert bool(plan.keep[graph.frozen].all())
    assert plan.keep[graph.head].tolist() == [False, True, False, False, False]

"""Law 11: what a budget selects can be cut, is within the budget, is the same each time, and grows with the budget."""

import copy
import functools
import itertools

import pytest
import torch

from model_lego import Budget, plan
from model_lego.budgets.criteria import CRITERIA
from model_lego.budgets.removal_order import Shrinking, removal_order, smallest
from model_lego.cutting.slicing import slice_model
from model_lego.graph.cost import planned_cost
from model_lego.graph.selection import keep_all
from tests.support.oracles import masked_forward
from tests.support.plans import kept_inputs, traced
from tests.support.tiny_models import TINY, inputs

LOGITS = [3, 1]


@functools.cache
def batches(name):
    images = inputs(name, batch=20, seed=3)
    return [(images, torch.arange(20) % 5)]


@functools.cache
def extremes(name):
    """Parameters and multiply-adds of the whole network, and of the smallest selection."""
    model, graph = traced(name)
    from model_lego.graph import select

    least = select(graph, torch.zeros(graph.width, dtype=torch.bool), logits=LOGITS)
    return planned_cost(model, graph, keep_all(graph)), planned_cost(model, graph, least)


def budgets(name):
    """Limits between the smallest and the whole network, absolute, the smallest first."""
    whole, least = extremes(name)
    return [
        Budget(
            params=max(2, int(least.parameters + share * (whole.parameters - least.parameters))),
            macs=max(2, int(least.macs + share * (whole.macs - least.macs))),
        )
        for share in (0.15, 0.4, 0.8)
    ]


@functools.cache
def planned(name, place):
    model, graph = traced(name)
    return plan(model, batches(name), classes=LOGITS, budget=budgets(name)[place], graph=graph)


@pytest.mark.parametrize("name", TINY)
def test_a_budget_is_met_by_what_the_cut_network_really_has(name):
    model, graph = traced(name)
    selection, budget = planned(name, 1).selection, budgets(name)[1]
    module = slice_model(model, graph, selection).module
    assert sum(parameter.numel() for parameter in module.parameters()) <= budget.params
    assert planned_cost(model, graph, selection).macs <= budget.macs
    assert planned(name, 1).settings["budget"]["reached"]["macs"] == planned_cost(model, graph, selection).macs


@pytest.mark.parametrize("name", TINY)
def test_the_slice_of_a_budget_is_its_mask(name):
    model, graph = traced(name)
    selection = planned(name, 1).selection
    x = inputs(name, batch=5, seed=1)
    expected = masked_forward(model, x, kept_inputs(graph, selection))[:, LOGITS]
    if name == "log_softmax_head":
        expected = expected.log_softmax(1)
    with torch.no_grad():
        found = slice_model(model, graph, selection).module(x)
    assert (found - expected).abs().max() <= 1e-8 * expected.abs().max()


@pytest.mark.parametrize("name", TINY)
def test_a_larger_budget_costs_as_much_or_more(name):
    model, graph = traced(name)
    costs = [planned_cost(model, graph, planned(name, place).selection) for place in range(3)]
    for smaller, larger in itertools.pairwise(costs):
        assert smaller.parameters <= larger.parameters
        assert smaller.macs <= larger.macs
    assert costs[0].parameters < extremes(name)[0].parameters


@pytest.mark.parametrize("name", ["plain", "residual", "concat", "depthwise"])
def test_a_larger_budget_keeps_what_a_smaller_one_keeps(name):
    kept = [planned(name, place).selection.keep for place in range(3)]
    assert bool((kept[0] <= kept[1]).all())
    assert bool((kept[1] <= kept[2]).all())
    assert int(kept[0].sum()) < int(kept[2].sum())


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", ["plain", "residual", "grouped", "shuffle"])
def test_every_criterion_keeps_the_budget_and_is_the_same_each_time(name, criterion):
    model, graph = traced(name)
    budget = budgets(name)[1]
    one, two = (
        plan(model, batches(name), classes=LOGITS, budget=budget, criterion=criterion, graph=graph, sampling="all")
        for _ in range(2)
    )
    assert torch.equal(one.selection.keep, two.selection.keep)
    cost = planned_cost(model, graph, one.selection)
    assert cost == planned_cost(model, graph, planned(name, 1).selection)  # which channels differs, not how many
    assert cost.parameters <= budget.params
    assert cost.macs <= budget.macs


@pytest.mark.parametrize("name", TINY)
def test_the_source_of_a_budget_is_left_as_it_is(name):
    model, graph = traced(name)
    before = copy.deepcopy(model.state_dict())
    plan(model, batches(name), classes=LOGITS, budget=budgets(name)[0], graph=graph)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", TINY)
def test_no_order_of_removal_ends_below_what_the_graph_says_is_smallest(name):
    model, graph = traced(name)
    least = smallest(model, graph, LOGITS)
    for seed in range(4):
        scores = torch.rand(graph.width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        order = removal_order(model, graph, scores, ("parameters", "macs"))
        reached = Shrinking(model, graph, tuple(LOGITS), order).cost(len(order))
        assert least.parameters <= reached.parameters
        assert least.macs <= reached.macs
        assert least.bytes <= reached.bytes

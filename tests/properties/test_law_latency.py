"""Law 14: a budget of time is met by what the table says, and where time is multiply-adds it is a budget of these."""

import functools

import pytest
import torch

from model_lego import Budget, plan
from model_lego.budgets.marginal_cost import PriceList, shares
from model_lego.budgets.removal_order import removal_order
from model_lego.budgets.size import planned_size, share
from model_lego.errors import BadConfig
from model_lego.graph import keep_all, select
from model_lego.latency.network_times import network_times
from tests.support.latency_tables import by_formula, macs_of, some_of
from tests.support.plans import traced
from tests.support.tiny_models import TINY, inputs

LOGITS = [3, 1]
#: Networks whose layers all have channels of their own, so that their multiply-adds are those of the layers.
LAYERED = ["plain", "residual", "depthwise", "grouped", "concat"]


@functools.cache
def batches(name):
    return [(inputs(name, batch=20, seed=3), torch.arange(20) % 5)]


@functools.cache
def table(name, **more):
    """A table of layers that take a little always, and a time for each multiply-add."""
    _, graph = traced(name)
    macs = macs_of(graph)
    return by_formula(graph, lambda chain, inputs, outputs: 0.02 + macs(chain, inputs, outputs), **more)


def halfway(name, multiple=1):
    """A share of the source's time half-way to what the smallest network takes."""
    _, graph = traced(name)
    times = network_times(graph, table(name, multiple=multiple))
    nothing = torch.zeros(graph.width, dtype=torch.bool)
    least = times.of(select(graph, nothing, logits=LOGITS, multiple=multiple).keep)
    return min(1.0, float(1 + (least / times.whole).max()) / 2)


def planned(name, budget, **options):
    model, graph = traced(name)
    return plan(model, batches(name), classes=LOGITS, budget=budget, graph=graph, **options)


@pytest.mark.parametrize("name", TINY)
def test_a_budget_of_time_is_met_by_the_table(name):
    _, graph = traced(name)
    budget = Budget(latency=halfway(name))
    found = planned(name, budget, latency_table=table(name, multiple=1))
    times = network_times(graph, table(name, multiple=1))
    record = found.settings["latency"]
    assert max(record["predicted_share"]) <= budget.latency
    assert record["predicted"] == times.of(found.selection.keep).tolist()
    assert found.settings["budget"]["reached"]["milliseconds"] == tuple(record["predicted"])


@pytest.mark.parametrize("name", LAYERED)
def test_where_time_is_multiply_adds_so_is_the_budget(name):
    _, graph = traced(name)
    macs = by_formula(graph, macs_of(graph))
    for size in (0.4, 0.7):
        by_time = planned(name, Budget(latency=size), latency_table=macs)
        assert torch.equal(by_time.selection.keep, planned(name, Budget(macs=size)).selection.keep)


@pytest.mark.parametrize("name", LAYERED)
def test_time_never_falls_as_channels_are_added(name):
    _, graph = traced(name)
    times = network_times(graph, table(name, whole=50.0))
    keep = torch.zeros(graph.width, dtype=torch.bool)
    before = times.of(keep)
    for channels in torch.randperm(graph.width, generator=torch.Generator().manual_seed(0)).split(3):
        keep[channels] = True
        after = times.of(keep)
        assert bool((after >= before).all())
        before = after


def test_widths_are_rounded_as_the_device_takes_them_whatever_the_budget_is_about():
    _, graph = traced("plain")
    kept = planned("plain", Budget(macs=0.6), latency_table=table("plain", multiple=4))
    assert kept.settings["multiple"] == 4
    for group in graph.groups:
        if not bool(graph.is_head[group.channels].any()):
            assert int(kept.selection.keep[group.channels].sum()) in (len(group.channels), *range(0, 64, 4))
    both = planned("plain", Budget(macs=1.0), latency_table=table("plain", multiple=4), multiple=6)
    assert both.settings["multiple"] == 12


def test_where_wider_costs_nothing_channels_stay_to_the_last():
    _, graph = traced("plain")
    free = graph.layers[0]
    macs = macs_of(graph)
    given = by_formula(graph, lambda chain, ins, outs: 1.0 if chain.first else macs(chain, max(ins, 1), max(outs, 1)))
    times = network_times(graph, given)
    model, _ = traced("plain")
    prices = PriceList(model, graph, times).of(torch.ones(graph.width, dtype=torch.bool))
    whole = planned_size(model, graph, keep_all(graph))
    paid = shares(prices, whole, ("milliseconds",))
    assert float(paid[free.inputs].sum()) == 0
    order = removal_order(model, graph, torch.ones(graph.width, dtype=torch.float64), ("milliseconds",), times)
    assert sorted(order.tolist()) == graph.cuttable.nonzero().flatten().tolist()


def test_each_batch_keeps_its_share():
    model, graph = traced("plain")
    times = network_times(graph, table("plain", overhead=(0.5, 0.0)))
    keep = select(graph, some_of(graph, 0.4), logits=LOGITS)
    size, whole = planned_size(model, graph, keep, times), planned_size(model, graph, keep_all(graph), times)
    ratios = [own / all_ for own, all_ in zip(size.milliseconds, whole.milliseconds, strict=True)]
    assert share("milliseconds", size, whole) == max(ratios)
    assert ratios[0] > ratios[1]
    assert not Budget(latency=sum(ratios) / 2).holds(size, whole)
    assert Budget(latency=max(ratios)).holds(size, whole)


def test_a_time_is_that_of_the_slowest_batch():
    model, graph = traced("plain")
    times = network_times(graph, table("plain"))
    whole = planned_size(model, graph, keep_all(graph), times)
    slowest = max(whole.milliseconds)
    assert Budget(latency=f"{slowest * 1.01:.6f} ms").holds(whole, whole)
    assert not Budget(latency=f"{slowest * 990:.3f}us").holds(whole, whole)


def test_a_time_that_cannot_be_kept_says_what_can():
    with pytest.raises(
        BadConfig, match=r"latency=0.001ms cannot be met: .* has latency=[\d.]+ms and [\d.]+ms \(0.\d+ of"
    ):
        planned("plain", Budget(latency="0.001ms"), latency_table=table("plain"))

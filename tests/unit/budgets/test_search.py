"""Budgets, the order in which channels go, the search for the smallest component, and curves."""

import functools
import math
import re
from dataclasses import replace

import pytest
import torch

from model_lego import Budget, Cost, Device, LatencyTable, Thresholds, attribute, curve, disassemble, plan
from model_lego.budgets.criteria import CRITERIA, Context, normalised
from model_lego.budgets.marginal_cost import COSTS, PriceList
from model_lego.budgets.removal_order import removal_order
from model_lego.budgets.search import loses_no_more, telling
from model_lego.budgets.settings import CutSettings
from model_lego.budgets.trials import Trial, trials
from model_lego.drawing import draw_curve
from model_lego.errors import BadConfig, EmptySelection
from model_lego.graph import select
from model_lego.graph.cost import planned_cost
from model_lego.graph.selection import keep_all
from model_lego.parts.verdict import SOURCE, DoubtfulResult, Verdict
from tests.support.plans import traced
from tests.support.tiny_models import build, inputs

WHOLE = Cost(parameters=1000, macs=5000, bytes=4000)


@functools.cache
def labelled(name):
    """Images with the answers of the network itself, so that there is something to lose; no class is rare."""
    images = inputs(name, batch=120)
    with torch.no_grad():
        logits = build(name)(images)
    return [(images, ((logits - logits.mean(0)) / logits.std(0)).argmax(1))]


@pytest.mark.parametrize(
    ("budget", "cost", "holds"),
    [
        (Budget(params=0.2), Cost(200, 5000, 4000), True),
        (Budget(params=0.2), Cost(201, 0, 0), False),
        (Budget(params=200), Cost(200, 5000, 4000), True),
        (Budget(params=200), Cost(201, 5000, 4000), False),
        (Budget(macs=0.5, params=1), Cost(1000, 2501, 0), False),
        (Budget(params=1), Cost(1000, 5000, 4000), True),
        (Budget(bytes=1), Cost(1000, 5000, 2), False),
        (Budget(bytes=1000), Cost(1000, 5000, 1000), True),
        (Budget(bytes=1000), Cost(1, 1, 1001), False),
        (Budget(accuracy_drop=0), Cost(1000, 5000, 4000), True),
    ],
)
def test_all_limits_hold_at_once(budget, cost, holds):
    assert budget.holds(cost, WHOLE) == holds


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "a budget without limits"),
        ({"params": 0}, "params=0 has to be a positive number"),
        ({"macs": -1}, "macs=-1 has to be a positive number"),
        ({"params": float("nan")}, "params=nan has to be a positive number"),
        ({"bytes": 0.5}, "a number of bytes, not a share"),
        ({"accuracy_drop": -0.1}, "accuracy_drop=-0.1 has to be"),
    ],
)
def test_limits_that_make_no_sense_are_refused(given, words):
    with pytest.raises(BadConfig, match=words):
        Budget(**given)


@pytest.mark.parametrize("name", ["plain", "grouped", "depthwise", "concat"])
def test_the_price_of_a_channel_is_what_the_network_costs_less_without_it(name):
    model, graph = traced(name)
    keep = keep_all(graph)
    prices, whole = PriceList(model, graph).of(keep.keep), planned_cost(model, graph, keep)
    bound = {channel for balance in graph.balances for channel in balance.blocks.flatten().tolist()}
    tried = 0
    for group in graph.groups:
        channel = int(group.channels[0])
        if not bool(graph.cuttable[channel]) or channel in bound or len(group.channels) < 2:
            continue
        wanted = torch.ones(graph.width, dtype=torch.bool)
        wanted[channel] = False
        without = planned_cost(model, graph, select(graph, wanted, logits=range(5)))
        for row, cost in enumerate(COSTS):
            assert float(prices[row, channel]) == pytest.approx(getattr(whole, cost) - getattr(without, cost))
        tried += 1
    assert tried or name == "grouped"


def test_a_layer_over_positions_is_in_the_price_of_the_channels_that_it_treats_alike():
    """9 tokens by 9, for each of 10 channels."""
    model, graph = traced("positions_mixed")
    keep = keep_all(graph).keep
    beside = PriceList(model, graph).of(keep) - PriceList(model, replace(graph, alike={})).of(keep)
    stream = graph.layer("patches").outputs
    assert beside[1, stream].tolist() == [81.0] * 10
    assert float(beside.sum()) == 810


def test_channels_go_by_what_they_are_worth_for_their_price():
    model, graph = traced("plain")
    prices = PriceList(model, graph).of(torch.ones(graph.width, dtype=torch.bool))
    scores = torch.ones(graph.width, dtype=torch.float64)
    scores[graph.layer("4").outputs[1]] = 0
    order = removal_order(model, graph, scores, ("macs",))
    assert int(order[0]) == int(graph.layer("4").outputs[1])
    assert sorted(order.tolist()) == graph.cuttable.nonzero().flatten().tolist()
    dearest = max(graph.cuttable.nonzero().flatten().tolist(), key=lambda channel: float(prices[1, channel]))
    assert float(prices[1, int(order[1])]) == pytest.approx(float(prices[1, dearest]), rel=0.3)


def test_scores_are_normalised_in_each_group():
    _, graph = traced("residual")
    scores = torch.rand(graph.width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = normalised(graph, scores)
    for group in graph.groups:
        assert float(found[group.channels].sum()) == pytest.approx(1)
        assert torch.equal(found[group.channels].argsort(), scores[group.channels].argsort())


def test_a_budget_that_cannot_be_met_says_what_the_smallest_is():
    model, graph = traced("plain")
    least = planned_cost(model, graph, select(graph, torch.zeros(graph.width, dtype=torch.bool), logits=[0, 1]))
    with pytest.raises(BadConfig, match=f"cannot be met: the smallest component.* params={least.parameters:,}"):
        plan(model, labelled("plain"), classes=[0, 1], budget=Budget(params=least.parameters - 1), graph=graph)
    found = plan(model, labelled("plain"), classes=[0, 1], budget=Budget(params=least.parameters), graph=graph)
    assert planned_cost(model, graph, found.selection) == least


def test_a_multiple_is_kept_within_the_budget():
    model, graph = traced("plain")
    limit = 0.6 * planned_cost(model, graph, keep_all(graph)).parameters
    found = plan(model, labelled("plain"), classes=[0, 1], budget=Budget(params=limit), graph=graph, multiple=2)
    assert {found.selection.kept(layer.outputs) % 2 for layer in graph.layers[:-1]} == {0}
    assert planned_cost(model, graph, found.selection).parameters <= limit


def test_the_contribution_of_a_plain_layer_is_its_share_in_the_logit():
    model, graph = traced("plain")
    images = labelled("plain")
    planned = plan(model, images, classes=[2], graph=graph, sampling="all")
    scores = CRITERIA["contribution"].score(Context(model, graph, (2,), images[0][0], {}, planned.stats))
    last = graph.layers[-1]
    s = planned.stats.mean(last.name, 2)[2]
    share = torch.zeros(graph.width, dtype=torch.float64)
    for place, channel in enumerate(last.inputs.tolist()):
        share[channel] += s[place] / s.sum()
    assert torch.allclose(scores[last.inputs.unique()], share[last.inputs.unique()], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"criterion": "count", "thresholds": Thresholds()}, "give a budget as well"),
        ({"criterion": "luck", "budget": Budget(params=0.5)}, "criterion 'luck' is unknown; use one of reconstruction"),
    ],
)
def test_a_criterion_is_refused_without_a_budget_or_if_unknown(given, words):
    with pytest.raises(BadConfig, match=words):
        plan(build("plain"), labelled("plain"), classes=[0, 1], **given)


def test_a_budget_needs_images_of_the_classes():
    images, labels = labelled("plain")[0]
    others = [(images[labels > 1], labels[labels > 1])]
    with pytest.raises(EmptySelection, match="no calibration image of the classes"):
        plan(build("plain"), others, classes=[0, 1], budget=Budget(params=0.5))


def test_trials_count_right_answers_on_the_images_held_out():
    model, graph = traced("plain")
    settings = CutSettings(repair="none", seed=4)
    tried = trials(model, graph, labelled("plain"), classes=[3, 1], settings=settings)
    images, labels = labelled("plain")[0]
    assert len(tried.images) + len(tried.held) == int(((labels == 3) | (labels == 1)).sum())
    with torch.no_grad():
        logits = build("plain")(tried.held[:])
    right = [
        [3, 1][int(logits[place, [3, 1]].argmax())] == [3, 1][int(answer)] for place, answer in enumerate(tried.answers)
    ]
    assert tried.restricted() == pytest.approx(100 * sum(right) / len(right))
    everything = select(graph, torch.ones(graph.width, dtype=torch.bool), logits=[3, 1])
    assert tried.accuracy(everything) == tried.restricted()
    for image, answer in zip(tried.held[:], tried.answers.tolist(), strict=True):
        place = next(place for place in range(len(images)) if torch.equal(images[place], image))
        assert int(labels[place]) == [3, 1][answer]


#: Held-out images of `labelled`: a third of those of its two classes.
HELD = 18


def test_the_smallest_component_within_a_drop_is_found_and_noted():
    given = {"classes": [3, 1], "graph": traced("plain")[1]}
    loose = disassemble(build("plain"), labelled("plain"), budget=Budget(accuracy_drop=20), **given)
    tight = disassemble(build("plain"), labelled("plain"), budget=Budget(accuracy_drop=0), **given)
    for part, drop in ((loose, 20), (tight, 0)):
        record = part.origin.settings["budget"]
        assert record["asked"] == {"accuracy_drop": drop}
        assert record["criterion"] == "reconstruction"
        assert record["reached"]["expected_drop"] <= drop
        assert record["reached"]["accuracy_drop"] <= drop
        assert part.verdict.chosen
        assert part.verdict.search.met == record["reached"]["met"]
        assert (part.verdict.lost, part.verdict.images) == (record["reached"]["accuracy_drop"], HELD)
        assert record["reached"]["parameters"] == part.origin.cost_after.parameters
    assert loose.origin.cost_after.parameters <= tight.origin.cost_after.parameters
    assert loose.origin.cost_after.parameters < loose.origin.cost_before.parameters


def test_a_drop_that_the_limits_of_size_do_not_allow_is_refused_with_what_is_lost(monkeypatch):
    verdict = Verdict("cut", SOURCE, 2, 20.0, 50.0, (10.0, 50.0), 16, held_out=True)
    found = Trial(verdict, 30.0, 41.5)
    monkeypatch.setattr("model_lego.budgets.search.Trials.trial", lambda self, selection, theirs: found)
    budget = Budget(params=0.9, accuracy_drop=20)
    with pytest.raises(BadConfig, match=r"the largest component within .* loses 30\.00 points .* 41\.50 at most"):
        plan(build("plain"), labelled("plain"), classes=[3, 1], budget=budget)


@pytest.mark.parametrize(("at_most", "allowed", "keeps"), [(1.0, 1, True), (1.1, 1, False), (0.0, 0, True)])
def test_what_counts_as_losing_no_more(at_most, allowed, keeps):
    verdict = Verdict("cut", SOURCE, 2, 90.0, 90.0, (-1.0, 1.0), 100, held_out=True)
    assert loses_no_more(Trial(verdict, 0.0, at_most), allowed) == keeps
    assert (telling(1), telling(0.5), telling(0)) == (100, 200, 1)


@pytest.mark.parametrize(
    ("answers", "at_most"),
    [
        ([0, 0], 2 * (50 + 1.6449 * 50 / 2**0.5)),  # the second loses its label, and either would with its error
        (
            [0, 1],
            2 * 50 * math.tanh(0.25),
        ),  # the second gains its label, which is luck: the source believes the other one
    ],
)
def test_a_trial_says_what_is_lost_at_most(monkeypatch, answers, at_most):
    model, graph = traced("plain")
    given = trials(model, graph, labelled("plain"), classes=[3, 1], settings=CutSettings(repair="none"))
    tried = replace(given, held=given.held[:2], answers=torch.tensor(answers))
    theirs, own = torch.tensor([[1.0, 0.0], [0.5, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    monkeypatch.setattr(type(tried), "_logits", lambda self, module, columns: own)
    found = tried.trial(select(graph, torch.ones(graph.width, dtype=torch.bool), logits=[3, 1]), theirs)
    assert found.expected == pytest.approx(50 * math.tanh(0.25))
    assert found.at_most == pytest.approx(at_most, rel=1e-4)


def test_few_images_do_not_tell_and_the_largest_is_kept_which_the_verdict_says():
    given = {"classes": [3, 1], "graph": traced("plain")[1], "budget": Budget(accuracy_drop=1)}
    with pytest.warns(DoubtfulResult, match=f"{HELD} held-out images are too few to tell whether more"):
        part = disassemble(build("plain"), labelled("plain"), **given)
    record = part.origin.settings["budget"]["reached"]
    assert (record["met"], record["trials"], record["held_out_images"]) == (False, 1, HELD)
    words = f"the largest, as none is known to lose at most one point on {HELD} held-out images"
    assert str(part.verdict.search) == words
    concern = part.verdict.concerns[0]
    assert "at least 300 images of its classes" in concern.python
    assert "at least 300 training images" in concern.command


def test_a_single_class_is_searched_for_by_the_area_of_its_logit():
    given = {"classes": [3], "graph": traced("plain")[1], "budget": Budget(accuracy_drop=20)}
    part = disassemble(build("plain"), labelled("plain"), **given)
    assert (part.verdict.measure, part.verdict.chosen) == ("AUROC", True)
    assert part.origin.settings["budget"]["reached"]["measure"] == "AUROC"
    assert part.origin.cost_after.parameters < part.origin.cost_before.parameters


def test_a_single_class_without_images_of_others_is_kept_as_large_as_it_is_which_is_said():
    images, labels = labelled("plain")[0]
    alone = [(images[labels == 3], labels[labels == 3])]
    given = {"classes": [3], "graph": traced("plain")[1]}
    for budget in (None, Budget(accuracy_drop=20)):
        with pytest.warns(UserWarning, match="told by images of other classes, of which there are none: the largest"):
            part = disassemble(build("plain"), alone, budget=budget, **given)
        assert part.verdict is None
        assert part.origin.settings["budget"]["reached"]["met"] is False
        assert part.origin.settings["repair"] == {"method": "none"}
        with torch.no_grad():
            torch.testing.assert_close(part(images), build("plain")(images)[:, [3]])


def test_a_trial_sees_no_image_that_it_is_measured_by():
    model, graph = traced("plain")
    tried = trials(
        model, graph, labelled("plain"), classes=[3, 1], settings=CutSettings(budget=Budget(accuracy_drop=1))
    )
    assert len(tried.held) == HELD == (len(tried.images) + len(tried.held)) // 3
    assert not any(torch.equal(one, other) for one in tried.held[:] for other in tried.images[:])
    beside = tried.beside(torch.zeros(2, *tried.held[:1].shape[1:]))
    assert (beside.measured, len(beside.held)) == (tried.measured, len(tried.held) + 2)


@functools.cache
def drawn():
    return curve(build("plain"), labelled("plain"), classes=[3, 1], sizes=[0.3, 0.6, 1.0], graph=traced("plain")[1])


def test_a_curve_has_a_point_for_each_size():
    found = drawn()
    assert [point.size for point in found.points] == [0.3, 0.6, 1.0]
    for point in found.points:
        assert point.cost.parameters <= point.size * found.source.parameters
    sizes = [point.cost.parameters for point in found.points]
    assert sizes == sorted(sizes)
    assert len(str(found).splitlines()) == 6
    assert f"{found.points[0].accuracy:.2f}" in str(found).splitlines()[1]
    assert found.to_dict()["points"][0]["cost"]["parameters"] == sizes[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sizes": []}, "at least one size"),
        ({"sizes": [0.00001]}, "cannot be met: the smallest"),
        ({"limit": "bytes"}, "or bytes with sizes"),
        ({"limit": "seconds"}, "limit 'seconds' cannot be drawn"),
    ],
)
def test_a_curve_that_cannot_be_made_is_refused(given, words):
    with pytest.raises(BadConfig, match=words):
        curve(build("plain"), labelled("plain"), classes=[3, 1], **given)


def test_a_curve_refuses_statistics_of_another_network():
    graph, images = traced("plain")[1], labelled("plain")
    other = attribute(build("plain", seed=1), images, graph=graph, classes=[3, 1], sampling="all")
    with pytest.raises(BadConfig, match="taken from another network"):
        curve(build("plain"), images, classes=[3, 1], criterion="contribution", stats=other)


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_curve_is_drawn(tmp_path, ending, start):
    pytest.importorskip("matplotlib")
    draw_curve(drawn(), tmp_path / f"curve.{ending}")
    assert (tmp_path / f"curve.{ending}").read_bytes().startswith(start)


@pytest.mark.parametrize("shares", [(1, 10, 70), (3, 30, 45), (0.2, 2, 20)])
def test_the_axis_of_sizes_is_in_percents(tmp_path, shares):
    pytest.importorskip("matplotlib")
    source = Cost(1000, 1000, 1000)
    points = tuple(replace(drawn().points[0], cost=Cost(int(10 * share), 1, 1)) for share in shares)
    draw_curve(replace(drawn(), limit="params", source=source, points=points), tmp_path / "curve.svg")
    text = (tmp_path / "curve.svg").read_text()
    ticks = [float(tick) for tick in re.findall(r"<!-- ([\d.]+) % -->", text)]
    assert len([tick for tick in ticks if min(shares) <= tick <= max(shares)]) >= 2
    assert "mathdefault{10^" not in text
    assert "<!-- parameters, of the source -->" in text


def test_pictures_without_matplotlib_or_with_another_ending_are_refused(tmp_path, monkeypatch):
    with pytest.raises(BadConfig, match=r"end it in \.png or \.svg"):
        draw_curve(drawn(), tmp_path / "curve.pdf")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(BadConfig, match=r"pip install model-lego\[draw\]"):
        draw_curve(drawn(), tmp_path / "curve.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0, 1.5, -0.2, "3", "fast", "0ms", "1e3ms", True, float("nan")])
def test_a_latency_is_a_share_or_a_time(value):
    with pytest.raises(BadConfig, match="neither a share of the source's time, above 0 and at most 1, nor a time"):
        Budget(latency=value)


def test_a_latency_is_written_as_it_was_given():
    assert str(Budget(latency="3ms", macs=0.5)) == "macs=0.5,latency=3ms"
    assert str(Budget(latency=0.25)) == "latency=0.25"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"budget": Budget(latency=0.5)}, "budget latency=0.5 is about a device: give device='onnxruntime'"),
        ({"budget": Budget(latency=0.5), "device": "torch", "thresholds": Thresholds()}, "thresholds choose channels"),
        ({"device": "torch", "per_class": 5}, "thresholds choose channels whatever time they take"),
        ({"device": "torch", "latency_table": LatencyTable(Device("torch"), "2", "some")}, "leave device out"),
    ],
)
def test_a_device_goes_with_a_budget(given, words):
    with pytest.raises(BadConfig, match=words):
        CutSettings(**given)


def test_a_device_with_no_batch_is_none():
    with pytest.raises(BadConfig, match="whole numbers from 1 on"):
        Device("torch", ())

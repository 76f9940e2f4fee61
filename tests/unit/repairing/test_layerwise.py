"""Repair: the closed form against a least-squares oracle, whole networks, and what it must leave alone."""

import copy
import gc
import weakref
from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.graph import keep_all, leftovers, select
from model_lego.graph.program import export_program
from model_lego.repairing.holding import Holding, holding
from model_lego.repairing.intercepts import give_biases
from model_lego.repairing.layerwise import RepairSettings, Walk, repair_model
from model_lego.repairing.least_squares import Moments, ridge, ridge_dual
from model_lego.repairing.side import Side
from tests.support.oracles import conv_patches, ridge_refit
from tests.support.plans import half_plan, traced
from tests.support.tiny_models import TINY, inputs

PAIRED = RepairSettings(strength=1e-2, rows=10**9, blend=False)  # every row of every layer


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def repaired(name: str, *, batch: int = 12, settings: RepairSettings = PAIRED):
    """A tiny network, its cut and repaired twin, the plan and the images."""
    model, graph = traced(name)
    plan = half_plan(graph, seed=1, logits=range(len(graph.head)))
    images = inputs(name, batch=batch)
    cut = slice_model(model, graph, plan).module
    raw = copy.deepcopy(cut)
    given = give_biases(cut, graph.program, graph.rules, graph.layers)
    left = repair_model(Cut(cut, export_program(cut, images), model, graph, plan), images, settings=settings)
    return model, raw, cut, images, given, left


@pytest.mark.parametrize(("rows", "features", "outputs"), [(60, 7, 3), (8, 20, 4), (5, 1, 1)])
def test_the_closed_form_is_the_least_squares_solution(rows, features, outputs):
    x, y, weight = random(rows, features), random(rows, outputs, seed=1) + 3, random(features, outputs, seed=2)
    moments = Moments(1, features, outputs)
    moments.add(x[None, : rows // 2], y[None, : rows // 2])
    moments.add(x[None, rows // 2 :], y[None, rows // 2 :])
    expected, offset = ridge_refit(x, y, weight.T, 0.05)
    for fit in (ridge(moments, weight[None], 0.05), ridge_dual(x[None], y[None], weight[None], 0.05)):
        assert torch.allclose(weight + fit.change[0], expected.T, rtol=1e-9, atol=1e-9)
        assert torch.allclose(fit.intercept[0], offset, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "geometry",
    [{"stride": 2}, {"padding": 1}, {"dilation": 2, "padding": 2}, {"padding": "same"}, {"stride": 2, "padding": 1}],
)
def test_a_convolution_of_any_geometry_is_refitted_as_the_oracle_says(geometry):
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 3, **geometry)

        def forward(self, x):
            return self.second(F.relu(self.first(x))).mean((2, 3))

    torch.manual_seed(0)
    model, images = One().double().eval(), random(6, 3, 9, 8)
    graph = trace(model, images[:2])
    plan = half_plan(graph, seed=0, logits=[0, 1, 2, 3])
    cut = slice_model(model, graph, plan).module
    program = export_program(cut, images)
    expected_cut = copy.deepcopy(cut)
    repair_model(Cut(cut, program, model, graph, plan), images, settings=PAIRED)
    with torch.no_grad():
        read, wanted = F.relu(cut.first(images)), model.second(F.relu(model.first(images)))
    plain = {"stride": 1, "padding": 0, "dilation": 1} | geometry
    plain["padding"] = 1 if plain["padding"] == "same" else plain["padding"]
    rows = conv_patches(read, 3, **plain).flatten(0, 1)
    start = expected_cut.second.weight.detach().flatten(1)
    weight, bias = ridge_refit(rows, wanted.flatten(2).transpose(1, 2).flatten(0, 1), start, 1e-2)
    assert torch.allclose(cut.second.weight.flatten(1), weight, rtol=1e-6, atol=1e-8)
    assert torch.allclose(cut.second.bias, bias, rtol=1e-6, atol=1e-8)


def test_a_layer_with_more_features_than_there_are_images_is_refitted_as_the_oracle_says():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Linear(8 * 20, 4)

        def forward(self, x):
            return self.second(F.relu(self.first(x)).flatten(1))

    torch.manual_seed(0)
    model, images = Flat().double().eval(), random(7, 3, 5, 4)
    graph = trace(model, images[:2])
    cut = slice_model(model, graph, plan := half_plan(graph, seed=0, logits=[0, 1, 2, 3])).module
    start, program = cut.second.weight.detach().clone(), export_program(cut, images)
    settings = RepairSettings(strength=1e-2, chunk=3, blend=False)
    repair_model(Cut(cut, program, model, graph, plan), images, settings=settings)
    with torch.no_grad():
        read, wanted = F.relu(cut.first(images)).flatten(1), model(images)
    weight, bias = ridge_refit(read, wanted, start, settings.strength)
    assert torch.allclose(cut.second.weight, weight, rtol=1e-6, atol=1e-8)
    assert torch.allclose(cut.second.bias, bias, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["plain", "residual_pad", "concat", "depthwise", "grouped", "se", "view_flatten"])
def test_channels_innermost_give_the_same_fits(name):
    model, graph = traced(name)  # in float64, channels lie where the images have them
    plan, images = half_plan(graph, seed=1, logits=range(len(graph.head))), inputs(name, batch=12)
    fits = []
    for dtype in (torch.float64, torch.float32):
        whole, given = copy.deepcopy(model).to(dtype), images.to(dtype)
        traced_again = trace(whole, given[:2])
        cut = slice_model(whole, traced_again, plan).module
        made = Cut(cut, export_program(cut, given), whole, traced_again, plan)
        repair_model(made, given, settings=RepairSettings(strength=1e-2, rows=10**9, blend=False))
        with torch.no_grad():
            fits.append(cut(given).double())
    assert torch.allclose(*fits, rtol=1e-3, atol=1e-3 * float(fits[0].abs().max()))


@pytest.mark.parametrize(
    "name", ["plain", "plain_nobn", "residual_pad", "concat", "depthwise", "grouped", "se", "view_flatten"]
)
def test_a_repaired_network_is_nearer_to_its_source(name):
    model, raw, cut, images, _, _ = repaired(name)
    with torch.no_grad():
        wanted, before, after = model(images), raw(images), cut(images)
    assert (after - wanted).square().mean() < 0.5 * (before - wanted).square().mean()


@pytest.mark.parametrize("name", list(TINY))
def test_repairing_what_was_not_cut_changes_no_output(name):
    model, graph = traced(name)
    images = inputs(name, batch=6)
    twin = slice_model(model, graph, keep_all(graph)).module
    repair_model(Cut(twin, export_program(twin, images), model, graph, keep_all(graph)), images, settings=PAIRED)
    with torch.no_grad():
        wanted = model(images)
        assert torch.allclose(twin(images), wanted, rtol=1e-7, atol=1e-8 * float(wanted.abs().max()))


def test_a_second_repair_does_not_add_to_the_intercepts_of_the_first():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(6, 2)
    )
    model, images = model.double().eval(), random(30, 3, 5, 5)
    graph = trace(model, images[:2])
    plan = half_plan(graph, seed=0, logits=[0, 1])
    cut = slice_model(model, graph, plan).module
    made = Cut(cut, export_program(cut, images), model, graph, plan)
    means = [cut[3].running_mean.clone()]
    for _ in range(2):
        repair_model(made, images, settings=PAIRED)
        means.append(cut[3].running_mean.clone())
    assert (means[2] - means[1]).abs().max() < 0.2 * (means[1] - means[0]).abs().max()


@pytest.mark.parametrize("norm", [False, True])
def test_a_layer_in_front_of_an_addition_makes_up_for_what_the_other_branch_lacks(norm):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.wide, self.back = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 12, 1), nn.Conv2d(12, 6, 1)
            self.norm, self.head = nn.BatchNorm2d(6) if norm else nn.Identity(), nn.Linear(6, 3)

        def forward(self, x):
            x = F.relu(self.stem(x))
            return self.head(F.relu(x + self.norm(self.back(F.relu(self.wide(x))))).mean((2, 3)))

    torch.manual_seed(0)
    model, images = Residual().double().eval(), random(20, 3, 6, 5)
    if norm:
        model.norm.weight.data.uniform_(0.5, 2)
        model.norm.running_var.uniform_(0.5, 2)
    graph = trace(model, images[:2])
    keep = torch.ones(graph.width, dtype=torch.bool)
    keep[graph.layer("back").inputs[::2]] = False
    plan = select(graph, keep, logits=[0, 1, 2])
    cut = slice_model(model, graph, plan).module
    with torch.no_grad():
        cut.stem.bias += 0.3  # the stream lacks something, and the stem is not refitted
    made = Cut(cut, export_program(cut, images), model, graph, plan)
    start = cut.back.weight.detach().flatten(1).clone()
    with pytest.MonkeyPatch.context() as patched:
        fit = Walk._refit
        patched.setattr(Walk, "_refit", lambda walk, layer, *args: layer.name == "back" and fit(walk, layer, *args))
        repair_model(made, images, settings=PAIRED)

    def rows(y):
        return y.movedim(1, -1).flatten(0, -2)

    with torch.no_grad():
        theirs, ours = F.relu(model.stem(images)), F.relu(cut.stem(images))
        scale = (model.norm.weight * (model.norm.running_var + 1e-5).rsqrt())[:, None, None] if norm else 1.0
        wanted = model.back(F.relu(model.wide(theirs))) + (theirs - ours) / scale
        weight, bias = ridge_refit(rows(F.relu(cut.wide(ours))), rows(wanted), start, PAIRED.strength)
    assert torch.allclose(cut.back.weight.flatten(1), weight, rtol=1e-6, atol=1e-8)
    assert torch.allclose(cut.back.bias, bias, rtol=1e-6, atol=1e-8)


def test_ten_images_are_enough_to_run_the_dual_form():
    _, raw, cut, images, _, _ = repaired("plain", batch=2, settings=RepairSettings())
    assert not torch.equal(cut(images), raw(images))
    assert bool(torch.isfinite(cut(images)).all())


@pytest.mark.parametrize("name", ["plain", "plain_nobn", "residual_pad", "concat", "depthwise", "grouped", "se"])
@pytest.mark.parametrize("method", ["ridge", "mean"])
def test_on_ten_images_a_repair_does_no_harm_to_others(name, method):
    model, graph = traced(name)
    plan = half_plan(graph, seed=1, logits=range(len(graph.head)))
    raw = slice_model(model, graph, plan).module
    few, others = inputs(name, batch=74).split([10, 64])
    cut = copy.deepcopy(raw)
    give_biases(cut, graph.program, graph.rules, graph.layers)
    made = Cut(cut, export_program(cut, few), model, graph, plan)
    repair_model(made, few, settings=RepairSettings(method=method))
    with torch.no_grad():
        wanted, before, after = model(others), raw(others), cut(others)
    assert (after - wanted).square().mean() < 1.05 * (before - wanted).square().mean()


def test_layers_with_neither_bias_nor_batchnorm_get_a_bias():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 8, 3, bias=False)
            self.b = nn.Conv2d(8, 6, 3, bias=False)
            self.norm = nn.BatchNorm2d(6)
            self.c = nn.Linear(6, 4, bias=False)

        def forward(self, x):
            return self.c(F.relu(self.norm(self.b(F.relu(self.a(x))))).mean((2, 3)))

    torch.manual_seed(0)
    model, images = Bare().double().eval(), random(8, 3, 9, 9)
    graph = trace(model, images[:2])
    cut = slice_model(model, graph, half_plan(graph, seed=0, logits=[0, 1, 2, 3])).module
    with torch.no_grad():
        before = cut(images)
    assert give_biases(cut, graph.program, graph.rules, graph.layers) == ("a", "c")
    with torch.no_grad():
        assert torch.equal(cut(images), before)
    assert model.a.bias is None
    assert cut.b.bias is None


@pytest.mark.parametrize("memory", [1, 500_000])
@pytest.mark.parametrize("name", ["plain", "residual_pad", "concat", "depthwise", "grouped", "se", "view_flatten"])
def test_little_memory_is_room_for_few_images_in_front_and_more_behind(name, memory):
    model, raw, cut, _, _, _ = repaired(name, batch=24, settings=RepairSettings(memory=2 * memory, blend=False))
    others = inputs(name, batch=60)[24:]
    with torch.no_grad():
        wanted, before, after = model(others), raw(others), cut(others)
    assert bool(torch.isfinite(after).all())
    if memory > 1:
        assert (after - wanted).square().mean() < (before - wanted).square().mean()


def test_images_that_join_later_run_once_through_a_front_that_is_repaired(monkeypatch):
    model, graph = traced("plain")
    plan, images = half_plan(graph, seed=1, logits=range(len(graph.head))), inputs("plain", batch=40)
    cut = slice_model(model, graph, plan).module
    made = Cut(cut, export_program(cut, images), model, graph, plan)
    ran, run = Counter(), Side.run

    def counted(side, node, number):
        result = run(side, node, number)
        ran[side.program is made.program, node.name] += len(result)
        return result

    monkeypatch.setattr(Side, "run", counted)
    held = []
    fit = Walk._refit
    monkeypatch.setattr(
        Walk, "_refit", lambda walk, *args: held.append(sum(map(len, args[-1].values()))) or fit(walk, *args)
    )
    settings = RepairSettings(strength=1e-2, rows=10**9, memory=500_000, blend=False)
    repair_model(made, images, settings=settings)
    assert held == sorted(held)
    assert held[0] < held[-1] == 40
    assert set(ran.values()) == {40}
    last = graph.layers[-1].name
    with torch.no_grad():  # the last layer is fitted to all images, as the oracle says
        read = {}
        cut.get_submodule(last).register_forward_pre_hook(lambda module, given: read.setdefault("x", given[0]))
        given = cut(images)
        start = slice_model(model, graph, plan).module.get_submodule(last).weight
        weight, bias = ridge_refit(read["x"], model(images), start, settings.strength)
    assert torch.allclose(given, read["x"] @ weight.T + bias, rtol=1e-6, atol=1e-8)


def test_what_has_room_is_held_from_the_start_in_chunks_as_they_are_set():
    assert holding([10, 5, 1], lambda at_once: [0, 0, 0], 100, memory=10**4, chunk=64) == Holding(64, (2, 2, 2))


def test_no_more_images_are_held_than_have_room_later():
    held = holding([10, 2, 20, 1], lambda at_once: [0, 0, 0, 0], 100, memory=1600, chunk=64)
    assert held.chunk == 10  # an eighth of the memory at the largest maps
    assert held.chunks == (8, 8, 8, 10)


def test_the_fit_of_a_layer_and_what_runs_take_room_from_images():
    assert holding([10, 1], lambda at_once: [0, 0], 100, memory=800, chunk=8).chunks == (10, 13)
    assert holding([10, 1], lambda at_once: [400, 0], 100, memory=800, chunk=8).chunks == (5, 13)
    assert holding([10, 1], lambda at_once: [50 * at_once, 0], 100, memory=800, chunk=8).chunks == (5, 13)
    assert holding([10, 1], lambda at_once: [0, 0], 100, memory=800, chunk=8, peak=12).chunks == (8, 13)


def test_batchnorm_is_estimated_anew_from_the_cut_networks_own_values():
    _, raw, cut, images, _, _ = repaired("plain", settings=RepairSettings(method="bn"))
    norms = [(a, b) for a, b in zip(raw.modules(), cut.modules(), strict=True) if isinstance(a, nn.BatchNorm2d)]
    convolution, (_, norm) = next(m for m in cut.modules() if isinstance(m, nn.Conv2d)), norms[0]
    with torch.no_grad():
        y = convolution(images).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, y.mean(1))
    assert torch.allclose(norm.running_var, y.var(1, correction=0))
    assert all(torch.equal(a, b) for a, b in zip(raw.parameters(), cut.parameters(), strict=True))


@pytest.mark.parametrize("value", [0.0, 0.1, 3.7])
def test_inputs_that_are_the_same_on_all_images_are_fitted_by_the_intercept(value):
    """Of a constant the variance is a rounding error, which may be below zero."""
    y = torch.randn(1, 5000, 4, generator=torch.Generator().manual_seed(0))
    for seed in range(20):
        x = value * (1 + 1e-7 * torch.rand(1, 5000, 3, generator=torch.Generator().manual_seed(seed)))
        moments = Moments(1, 3, 4)
        moments.add(x, y)
        fit = ridge(moments, torch.zeros(1, 3, 4, dtype=torch.float64), 1e-2)
        given = fit.intercept[0] + x[0].double() @ fit.change[0]
        assert (given - y[0].double().mean(0)).abs().max() < 1e-3


@pytest.mark.parametrize("large", [False, True])
def test_what_earlier_cuts_left_is_looked_for_where_the_network_is_large(large, monkeypatch):
    class Left:
        pass

    left = Left()
    left.itself, known = left, weakref.ref(left)
    monkeypatch.setattr(leftovers, "LARGE", 0 if large else 4 * 2**20)
    gc.disable()
    try:
        del left
        repaired("plain")
        assert (known() is None) == large
    finally:
        gc.enable()

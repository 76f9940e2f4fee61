"""Tuning: nearer to the source than the closed form, never worse, and only where it was asked for."""

import copy
import math
from itertools import count

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import cut_of
from model_lego.repairing import tuning
from model_lego.repairing.comparing import divergence, log_ratios, points_of
from model_lego.repairing.layerwise import RepairSettings
from model_lego.repairing.refitting import repair_cut
from tests.support.plans import half_plan, traced
from tests.support.tiny_models import inputs

TUNED = RepairSettings(method="tuned", steps=12)


def made(name: str) -> tuple[Cut, torch.Tensor]:
    """A tiny network cut to about half, and images."""
    model, graph = traced(name)
    images = inputs(name, batch=30)
    plan = half_plan(graph, seed=1, logits=range(len(graph.head)))
    return cut_of(slice_model(model, graph, plan).module, model, graph, plan, images[:2]), images


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("name", ["dense", "residual", "depthwise", "shared", "log_softmax_head"])
def test_values_come_nearer_to_the_source_s(name, monkeypatch):
    monkeypatch.setattr(tuning, "RISE", 1)
    cut, images = made(name)
    before = {key: value.clone() for key, value in cut.source.state_dict().items()}
    fit, held = tuning.parted(images, 0)
    cut, _ = repair_cut(cut, fit, RepairSettings())
    cut.module.requires_grad_()
    steps = tuning._Tuning(cut, fit, held, TUNED, None)
    first = steps._loss(fit).item()
    for step in range(12):
        steps._step(fit, 0.0, step)
    assert steps._loss(fit).item() < first
    assert all(torch.equal(before[key], value) for key, value in cut.source.state_dict().items())


@pytest.mark.parametrize("name", ["dense", "residual", "depthwise"])
def test_the_state_that_is_left_is_no_further_from_the_source_on_held_out_images(name):
    cut, images = made(name)
    _, held = tuning.parted(images, 0)
    cut, record = repair_cut(cut, images, TUNED)
    with torch.no_grad():
        wanted = cut.source(held)
        now, then = (float(divergence(each(held), wanted)) for each in (cut.module, cut.untuned))
    done = record["tuning"]
    assert now <= then
    assert done["steps"] == 12
    assert done["held_out_images"] == len(held) == 6
    assert done["gained"] == (done["divergence"] < done["divergence_before"])
    if done["gained"]:
        assert now == pytest.approx(done["divergence"])
        assert then == pytest.approx(done["divergence_before"])


def test_batchnorm_statistics_modes_and_what_is_trained_stay(monkeypatch):
    cut, images = made("residual")
    for parameter in list(cut.module.parameters())[::2]:
        parameter.requires_grad_(False)
    frozen = [parameter.requires_grad for parameter in cut.module.parameters()]
    falling = count(0, -1)
    monkeypatch.setattr(tuning, "divergence", lambda given, wanted: next(falling))
    cut, record = repair_cut(cut, images, TUNED)
    assert record["tuning"]["gained"]
    assert not same(cut.module, cut.untuned)
    for one, other in zip(cut.module.buffers(), cut.untuned.buffers(), strict=True):
        assert torch.equal(one, other)
    assert [parameter.requires_grad for parameter in cut.module.parameters()] == frozen
    assert all(parameter.grad is None for parameter in cut.module.parameters())
    assert not any(module.training for module in cut.module.modules())


def test_where_nothing_is_gained_it_is_the_closed_form_on_all_images(monkeypatch):
    monkeypatch.setattr(tuning, "RATE", 100.0)
    monkeypatch.setattr(tuning, "RISE", 1)
    cut, images = made("residual")
    closed = cut.copy()
    cut, record = repair_cut(cut, images, TUNED)
    assert not record["tuning"]["gained"]
    assert cut.untuned is cut.module
    closed, _ = repair_cut(closed, images, RepairSettings())
    assert same(cut.module, closed.module)


def test_so_many_steps_give_the_same_network_whatever_the_memory():
    ways = []
    for memory in (2 << 30, 1 << 16, 2 << 30):
        cut, images = made("depthwise")
        fit, held = tuning.parted(images, 0)
        cut, _ = repair_cut(cut, fit, RepairSettings())
        settings = RepairSettings(method="tuned", steps=5, memory=memory)
        tuning.tune(cut, fit, held, settings)
        ways.append(cut.module)
    assert same(ways[0], ways[2])
    with torch.no_grad():
        assert torch.allclose(ways[0](images), ways[1](images), rtol=1e-6)


def test_it_stops_when_its_seconds_are_over():
    cut, images = made("plain")
    _, record = repair_cut(cut, images, RepairSettings(method="tuned", seconds=0.05))
    assert record["seconds"] == 0.05
    assert record["tuning"]["steps"] >= 1
    assert record["tuning"]["seconds"] < 5


def test_a_single_logit_and_probabilities_have_a_divergence():
    torch.manual_seed(0)
    logits = torch.randn(20, 5, dtype=torch.float64)
    assert float(divergence(logits[:, :1], logits[:, :1])) == 0
    assert float(divergence(logits[:, :1] + 1, logits[:, :1])) > 0
    assert float(divergence(logits, logits)) == pytest.approx(0, abs=1e-15)
    apart = torch.tensor([[1000.0, 0.0]], dtype=torch.float64)
    assert float(divergence(apart, apart.flip(1))) == pytest.approx(math.log(2))
    some = [3, 1]
    plain, probabilities = log_ratios(logits[:, some]), log_ratios(logits.softmax(1)[:, some])
    assert torch.allclose(plain - plain.mean(1, keepdim=True), probabilities)


def test_values_are_compared_where_layers_read_them_each_once():
    cut, _ = made("dense")
    points = points_of(cut)
    assert len({point.theirs for point in points}) == len(points) > 3
    assert all(point.theirs != cut.graph.program.image for point in points)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"seconds": 0}, "0 seconds"), ({"seconds": float("inf")}, "inf seconds"), ({"steps": 0}, "0 steps")],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ml.errors.BadConfig, match=words):
        RepairSettings(method="tuned", **settings)


def test_a_time_without_tuning_is_refused():
    with pytest.raises(ml.errors.BadConfig, match="the repair is 'ridge'"):
        RepairSettings(steps=5)
    assert RepairSettings("tuned", steps=5, seed=3).training_free == RepairSettings(seed=3)


def test_one_image_is_too_few():
    cut, images = made("plain")
    with pytest.raises(ml.errors.EmptySelection, match="too few to tune"):
        repair_cut(cut, images[:1], TUNED)


def test_a_component_tells_what_it_is_without_tuning(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4)
    ).eval()
    images, labels = torch.randn(160, 3, 8, 8), torch.arange(160) % 4
    feed = list(zip(images.split(20), labels.split(20), strict=True))
    part = ml.disassemble(
        network, feed, classes=[0, 2, 3], budget=ml.Budget(macs=0.6), repair=RepairSettings("tuned", steps=4)
    )
    assert part.verdict.untuned is not None
    assert "training-free, before it was tuned" in str(part.verdict)
    assert part.origin.settings["repair"]["tuning"]["steps"] == 4
    ml.save(part, tmp_path / "part")
    loaded = ml.load(tmp_path / "part", factory=lambda: copy.deepcopy(network))
    assert same(loaded.module, part.module)
    assert loaded.verdict == part.verdict
    beside = ml.baselines(part, network, kinds=("restricted", "training-free"), calibration=feed)
    assert [each.name for each in beside] == ["restricted", "training-free"]
    assert beside[1].cost == part.origin.cost_after
    with pytest.raises(ml.errors.BadConfig, match="give calibration images"):
        ml.baselines(part, network, kinds=("training-free",))

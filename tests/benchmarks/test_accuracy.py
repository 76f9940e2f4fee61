"""The benchmark of accuracy: that its short cuts give what the library gives."""

from copy import deepcopy

import numpy as np
import pytest
import torch

pytest.importorskip("benchmarks")

from benchmarks.accuracy import joining
from benchmarks.accuracy.figures import cell, wilson
from benchmarks.accuracy.joining import separations
from model_lego import assemble
from tests.support.components import tiny_part
from tests.support.tiny_models import inputs


def test_the_answers_of_each_way_are_those_of_an_assembly_with_that_head():
    parts = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    images, labels = inputs("plain", batch=48), torch.arange(48) % 4
    calibration, others = [(images[:20], labels[:20]), (images[20:40], labels[20:40])], images[40:]
    found = joining.answers(parts, joining.WAYS, calibration, others, seed=3, known={})
    arguments = {"no calibration": {}, "logit scaling, as published": {"head": "concat", "scaling": "logit"}}
    for way in joining.WAYS:
        given = None if way == "no calibration" else calibration
        joint = assemble(parts, calibration=given, seed=3, **arguments.get(way, {"head": way}))
        with torch.no_grad():
            assert torch.allclose(found[way][0], joint(others), rtol=1e-6, atol=1e-9), way
        assert found[way][1] == joint.head.kind, way


class TwoBatches:
    """Images of four classes, as a benchmark's material gives them."""

    images, labels = inputs("plain", batch=48), torch.arange(48) % 4

    def test_of(self, classes):
        return self.images[40:], self.labels[40:]

    def calibration(self, classes, *, seed):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))[:32]
        return [(self.images[some], self.labels[some]) for some in order.split(16)]


def test_networks_that_are_the_same_run_once_and_others_again(monkeypatch):
    parts = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    ran, run = [], joining.run
    monkeypatch.setattr(joining, "run", lambda *given: ran.append(given) or run(*given))
    monkeypatch.setattr(joining, "cost", lambda parts: {})  # these parts do not know what their sources cost
    known = {}
    ways = {"view": joining.View("abcd"), "known": known}
    first = joining.block(TwoBatches(), "cut", [parts, parts], **ways)
    assert len(ran) == 1
    assert len(set(first["rows"][2]["seeds"])) == 2  # the heads are of the seed's own calibration images
    assert joining.block(TwoBatches(), "cut", [deepcopy(parts), deepcopy(parts)], **ways) == first
    assert len(ran) == 1
    with torch.no_grad():
        next(parts[1].parameters()).mul_(-1)
    assert joining.block(TwoBatches(), "cut", [parts, parts], **ways) != first
    assert len(ran) == 2


def test_the_layers_of_the_logits_are_found_once_for_the_cuts_of_a_network(monkeypatch):
    found, asked = joining.parts_layers, []
    monkeypatch.setattr(joining, "_LAYERS", {})
    monkeypatch.setattr(joining, "parts_layers", lambda *given: asked.append(given) or found(*given))
    parts = [
        tiny_part(name, seed=seed, names="ab", share=0.6) for name, seed in (("plain", 1), ("plain", 2), ("se", 1))
    ]
    layers = [joining._layers(part, inputs("plain", batch=2)) for part in parts]
    assert layers == list(found(parts, inputs("plain", batch=2)))
    assert (layers[0], len(asked)) == (layers[1], 2)


def test_a_class_is_told_from_the_nine_others_by_its_own_logit():
    places = torch.arange(10).repeat(2)
    logits = torch.zeros(20, 10)
    logits[places == 3, 3] = 1.0  # its own images alone
    logits[places == 4, 5] = 1.0  # 2 of 18 others above its own
    areas = separations(logits, places)
    assert (areas[3], areas[0]) == (pytest.approx(1.0), pytest.approx(0.5))
    assert areas[5] == pytest.approx((16 / 18) * 0.5)


@pytest.mark.parametrize(("percent", "images"), [(90.0, 1000), (50.0, 900), (0.0, 30), (100.0, 300)])
def test_intervals_are_those_of_wilson(percent, images):
    share, z = percent / 100, 1.959964
    low, high = (  # the shares from which the measured one is z standard errors away
        np.roots([1 + z**2 / images, -(2 * share + z**2 / images), share**2])[::-1].real
    )
    assert wilson(percent, images) == pytest.approx(100 * (high - low) / 2, abs=1e-4)


def test_a_cell_has_the_mean_its_interval_and_the_spread_of_the_samples():
    assert cell([90.0, 88.0, 92.0], 1000) == "90.0 ± 1.9 (88.0 to 92.0)"
    assert cell([90.0], 1000) == "90.0 ± 1.9"
    assert cell([], 1000) == ""

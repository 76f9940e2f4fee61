"""Halves of the calibration images, and blends of two of them."""

import pytest
import torch

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import slice_model
from model_lego.data.batching import Seen
from model_lego.graph.program import export_program
from model_lego.repairing.blending import blended
from model_lego.repairing.layerwise import RepairSettings, repair_model
from tests.support.plans import half_plan, traced
from tests.support.tiny_models import inputs


def images(count: int) -> torch.Tensor:
    """Images by which a blend can be told: the number of each is a power of two in its only pixel."""
    return (2.0 ** torch.arange(count, dtype=torch.float64)).reshape(-1, 1, 1, 1)


def test_halves_are_drawn_and_not_those_in_front():
    first = blended(torch.zeros(101, 1), 3, blends=False).first
    assert int(first.sum()) == 51
    assert 15 < int(first[:50].sum()) < 35
    assert torch.equal(first, blended(torch.zeros(101, 1), 3, blends=False).first)
    assert not torch.equal(first, blended(torch.zeros(101, 1), 4, blends=False).first)


@pytest.mark.parametrize(
    ("count", "blends"), [(1, 0), (2, 8), (10, 40), (150, 600), (300, 700), (800, 800), (3000, 3000)]
)
def test_there_are_as_many_blends_as_images_and_more_of_few(count, blends):
    assert len(blended(torch.zeros(count, 1), 0, blends=True)) == count + blends
    assert len(blended(torch.zeros(count, 1), 0, blends=False)) == count


def test_a_blend_is_the_mean_of_two_images_of_one_half():
    given = images(20)
    seen = blended(given, 7, blends=True)
    assert torch.equal(seen[:20], given)
    own = set(given[seen.first[:20]].flatten().tolist())
    found = []
    for value, first in zip(seen[20:].flatten().tolist(), seen.first[20:].tolist(), strict=True):
        both = [2.0**place for place in range(20) if int(2 * value) >> place & 1]
        assert len(both) == 2
        assert {each in own for each in both} == {first}
        found.append(tuple(both))
    assert len(set(found)) > len(found) // 2


def test_each_image_is_in_as_many_blends():
    counts = blended(torch.zeros(30, 1), 0, blends=True).pairs.flatten().bincount()
    assert counts.tolist() == [8] * 30


@pytest.mark.parametrize("step", [1, 3, 7, 100])
def test_slices_run_from_images_into_blends(step):
    seen = blended(images(9), 0, blends=True)
    whole = torch.cat([seen[place : place + 1] for place in range(len(seen))])
    assert torch.equal(torch.cat([seen[start : start + step] for start in range(0, len(seen), step)]), whole)


def test_images_that_are_held_as_bytes_are_blended_as_the_network_takes_them():
    bytes_ = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    seen = blended(Seen(tuple(bytes_), (3, 0, 0), lambda x: 2 * x - 1), 0, blends=True)
    one, other = seen.pairs[0].tolist()
    expected = (bytes_[one].float() + bytes_[other].float()) / 255 - 1
    assert torch.allclose(seen[6:7][0], expected, atol=1e-6)


@pytest.mark.parametrize("blend", [True, False])
def test_a_repair_runs_blends_only_where_they_are_wanted(blend):
    """With blends it is the repair by the images and blends, given as images."""
    model, graph = traced("plain")
    plan, given = half_plan(graph, seed=1, logits=range(len(graph.head))), inputs("plain", batch=12)
    seen = blended(given, 0, blends=True)
    found = []
    for some, settings in (
        (given, RepairSettings(strength=1e-2, rows=10**9, blend=blend)),
        (seen[:], RepairSettings(strength=1e-2, rows=10**9, blend=False)),
    ):
        cut = slice_model(model, graph, plan).module
        repair_model(Cut(cut, export_program(cut, given), model, graph, plan), some, settings=settings)
        found.append(cut(given[:5]).detach())
    assert torch.allclose(*found, rtol=1e-9, atol=1e-9) is blend


@pytest.mark.parametrize("method", ["mean", "bn"])
def test_means_and_statistics_are_those_of_the_images_alone(method):
    model, graph = traced("plain")
    plan, given = half_plan(graph, seed=1, logits=range(len(graph.head))), inputs("plain", batch=12)
    found = []
    for blend in (True, False):
        cut = slice_model(model, graph, plan).module
        made = Cut(cut, export_program(cut, given), model, graph, plan)
        repair_model(made, given, settings=RepairSettings(method=method, blend=blend))
        found.append(cut(given[:5]).detach())
    assert torch.equal(*found)

"""The benchmark of compression: its rivals cut what Torch-Pruning's own pruner cuts; its page is what is recorded."""

import copy
import functools
import json
from pathlib import Path

import pytest
import torch

from benchmarks.compression.bench import SEEDS, SIZES
from benchmarks.compression.figure import draw
from benchmarks.compression.measuring import ALIKE
from benchmarks.compression.page import COMPRESS, MEASURES, average, everyone, page
from benchmarks.compression.rivals import OURS, by_threshold, equally, importances
from model_lego.budgets.removal_order import Shrinking
from model_lego.cutting.slicing import slice_model
from tests.support.plans import traced
from tests.support.tiny_models import inputs

tp = pytest.importorskip("torch_pruning")
ROOT = Path(__file__).parents[2]
HEAD = "11"


@functools.cache
def result():
    return json.loads((ROOT / "benchmarks/results/compression.json").read_text())


@functools.cache
def scored():
    model, graph = traced("plain")
    images, labels = inputs("plain", batch=8), torch.arange(8) % 5
    scores = importances(model, graph, images, labels, head=HEAD, seed=0)
    way = Shrinking(model, graph, (0, 1, 2, 3, 4), torch.empty(0, dtype=torch.int64))
    return images, labels, scores, way


def pruned(importance, **settings):
    """What Torch-Pruning makes of the network, by its own pruner."""
    images, labels, _, way = scored()
    twin = copy.deepcopy(way.model)
    head = twin.get_submodule(HEAD)
    with torch.enable_grad():
        torch.nn.functional.cross_entropy(twin(images), labels).backward()
        pruner = tp.pruner.BasePruner(
            twin, images[:1], importance=importance, pruning_ratio=0.5, ignored_layers=[head], **settings
        )
        pruner.step()
    return twin


def same(twin, selection):
    images, _, _, way = scored()
    ours = slice_model(way.model, way.graph, selection).module
    shapes = [tuple(p.shape) for p in ours.parameters()]
    assert shapes == [tuple(p.shape) for p in twin.parameters()]
    assert shapes != [tuple(p.shape) for p in way.model.parameters()]
    with torch.no_grad():
        assert torch.allclose(ours(images), twin(images), atol=1e-10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "importance"),
    [
        ("fpgm", tp.importance.FPGMImportance()),
        ("magnitude", tp.importance.MagnitudeImportance(p=1)),
        ("taylor", tp.importance.TaylorImportance()),
    ],
)
def test_equal_shares_are_what_torch_pruning_cuts(name, importance):
    *_, scores, way = scored()
    rival = equally(way, scores[name])
    same(pruned(importance), rival.after(len(rival.order) // 2))


@pytest.mark.filterwarnings("ignore")
def test_one_threshold_is_what_its_global_pruning_cuts():
    *_, scores, way = scored()
    rival = by_threshold(way, scores["taylor"])
    same(pruned(tp.importance.TaylorImportance(), global_pruning=True), rival.after(len(rival.order) // 2))


def test_everyone_is_measured_at_equal_multiply_adds():
    rows = result()["rows"]
    cells = {(row["size"], row["seed"]) for row in rows}
    assert {(0.5, 0)} <= cells <= {(size, 0) for size in SIZES} | {(0.5, seed) for seed in SEEDS}
    for row in rows:
        assert 100 * (1 - ALIKE) * row["size"] <= row["macs_percent"] <= 100 * row["size"], row
    for size, seed in cells:
        found = everyone(row for row in rows if (row["size"], row["seed"]) == (size, seed))
        assert COMPRESS in found
        assert all(len(mine) == 1 for mine in found.values())


def test_half_of_the_multiply_adds_costs_less_than_a_point_and_a_half():
    found = everyone(row for row in result()["rows"] if row["size"] == 0.5)
    assert average(found["reconstruction", OURS], "repaired") > result()["source"] - 1.5


def test_the_page_is_what_is_recorded():
    assert (ROOT / "docs/compression.md").read_text() == page(result())
    assert all(MEASURES[name] in page(result()) for name in ("cut", "repaired"))


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    draw(result(), tmp_path / "one.svg")
    draw(result(), tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"L1 magnitude" in (tmp_path / "one.svg").read_bytes() or b"<path" in (tmp_path / "one.svg").read_bytes()

"""The benchmark of compression: its rivals cut what Torch-Pruning's own pruner cuts; its page is what is recorded."""

import copy
import functools
import json
from pathlib import Path

import pytest
import torch

from benchmarks.compression.figure import draw
from benchmarks.compression.page import page
from benchmarks.compression.rivals import EQUAL, GLOBAL, OURS, by_threshold, equally, importances
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


def row(criterion, widths, size, repaired, *, seed=0, **more):
    costs = {"macs_percent": 100 * size, "parameters_percent": 40.0}
    return {"criterion": criterion, "widths": widths, "size": size, "seed": seed, "repaired": repaired, **costs, **more}


def test_the_page_compares_with_the_best_of_the_others_and_averages_over_seeds():
    rows = [
        row("reconstruction", OURS, 0.5, 90.0),
        row("reconstruction", OURS, 0.5, 92.0, seed=1),
        row("taylor", EQUAL, 0.5, 80.0, cut=30.0),
        row("fpgm", GLOBAL, 0.5, 85.0, cut=20.0),
        row("magnitude", OURS, 0.5, 89.5),
        row("reconstruction", OURS, 0.3, 70.0),
    ]
    lines = page({"rows": rows, "network": "A network", "source": 93.0, "test_images": 100}).splitlines()
    half = "| 50 % | **91.00** (-2.00 to the source) | 30.00 (-61.00), Taylor, equal shares "
    half += "| 85.00 (-6.00), FPGM, one threshold | 89.50 (-1.50), L1 magnitude |"
    assert half in lines
    assert "| 30 % | **70.00** (-23.00 to the source) | not measured | not measured | not measured |" in lines
    assert "| `compress` | of `compress` | 50.0 % | 40.0 % |  | **91.00** ± 1.41 |" in lines
    assert "| Taylor | equal shares | 50.0 % | 40.0 % | **30.00** | 80.00 |" in lines


def test_the_page_is_what_is_recorded():
    assert (ROOT / "docs/compression.md").read_text() == page(result())


def test_the_picture_is_drawn_of_every_criterion(tmp_path):
    pytest.importorskip("matplotlib")
    fewer = [row for row in result()["rows"] if row["criterion"] != "fpgm"]
    for name, rows in (("one", result()["rows"]), ("two", result()["rows"]), ("fewer", fewer)):
        draw({**result(), "rows": rows}, tmp_path / f"{name}.svg")
    one, two, other = ((tmp_path / f"{name}.svg").read_bytes() for name in ("one", "two", "fewer"))
    assert one == two
    assert other != one

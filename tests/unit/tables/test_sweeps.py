"""The figures of alpha and beta: which rows they show, and that those of the page are drawn from the results."""

from pathlib import Path

import pytest
import yaml

from model_lego.tables.ledger import Ledger
from model_lego.tables.page import page
from model_lego.tables.recipes import read_recipes
from model_lego.tables.sweeps import draw, pictures

ROOT = Path(__file__).parents[3]
ROWS = [
    {"source": "net", "classes": "0-1", "vary": {"alpha": [0.1, 0.3, 0.6]}, "seeds": [0, 1]},
    {"source": "net", "classes": "0-1", "beta": 0.5},  # with the one at alpha 0.3 two points of beta: no curve
    {"source": "net", "classes": "0-1", "alpha": 0.4, "sampling": "all"},
    {"source": "net", "classes": "2", "alpha": 0.4},
]


@pytest.fixture
def measured(tmp_path):
    source = {"network": "zoo:lenet5", "data": "digits", "training": {"epochs": 3}}
    known = {"cpu": {"data": {"digits": {"where": "digits"}}, "sources": {"net": source}}}
    table = {"name": "t", "title": "T", "paper": "Fig.", "about": "A.", "kind": "cutting", "rows": {"cpu": ROWS}}
    for name, found in (("sources", known), ("one", table)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(found))
    recipes = read_recipes(tmp_path)
    ledger = Ledger(recipes.tables[0], "cpu", tmp_path / "found", recipes.materials["cpu"])
    for row in recipes.tables[0].rows["cpu"]:
        for seed in row.seeds:
            cut = {"accuracy": 100 * row.alpha + seed, "parameters": 50 - 10 * row.alpha, "macs": 60.0}
            figures = {"component": cut, "restricted": {"accuracy": 90.0}, "repaired": {"accuracy": 80.0 + seed}}
            figures["classes"] = 2
            ledger.write(row, seed, {"figures": figures, "seconds": 1.0})
    return tmp_path / "found", recipes


def test_rows_that_differ_in_one_threshold_are_a_curve_of_means(measured):
    found = pictures(*measured)
    assert [file.name for file in found] == ["t-cpu-net-0-1.svg"]
    ((sweep,),) = found.values()
    assert (sweep.threshold, sweep.values) == ("alpha", (0.1, 0.3, 0.6))
    restricted, published, repaired, parameters, macs = sweep.lines
    assert published == pytest.approx((10.5, 30.5, 60.5))  # means of two seeds
    assert (restricted, repaired) == (pytest.approx((90.0,) * 3), pytest.approx((80.5,) * 3))
    assert (parameters, macs) == (pytest.approx((49.0, 47.0, 44.0)), pytest.approx((60.0,) * 3))


def test_the_page_links_to_them(measured, tmp_path):
    assert "\n![T: net-0-1](../found/t-cpu-net-0-1.svg)\n" in page(*measured, folder=tmp_path / "docs")


def test_those_of_the_documentation_are_drawn_from_its_results(tmp_path):
    pytest.importorskip("matplotlib")
    found = pictures(ROOT / "docs" / "results", read_recipes())
    assert found
    for file, sweeps in found.items():
        draw(sweeps, tmp_path / file.name)
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name

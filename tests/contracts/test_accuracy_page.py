"""docs/accuracy.md is what its code makes of the recorded figures."""

import json

import pytest
import torch
from scipy.stats import binom

pytest.importorskip("benchmarks")

from benchmarks.accuracy import figures, page
from benchmarks.accuracy.tables import TABLES


def test_the_page_is_what_the_code_makes_of_the_figures():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(*(page.last(name) for name in page.FILES))


def test_the_figures_of_the_page_are_those_that_were_recorded():
    shown = page.PAGE.read_text(encoding="utf-8")
    path = page.RESULTS / "accuracy.json"
    tables = json.loads(path.read_text())["tables"] if path.exists() else {}
    rows = [row for table in tables.values() for block in table["blocks"] for row in block["rows"]]
    for row in rows:
        mean = sum(row["seeds"]) / len(row["seeds"])
        assert f"| {mean:.2f} |" in shown, row["name"]


def test_a_figure_is_the_mean_over_seeds_with_the_interval_of_their_shares():
    first, second = torch.tensor([1, 1, 1, 0, 0] * 40).bool(), torch.tensor([1, 1, 1, 1, 0] * 40).bool()
    row = figures.figure("a", [first, second], bar=3.0)
    assert row["seeds"] == pytest.approx([60.0, 80.0])
    assert (row["mean"], row["bar"]) == (pytest.approx(70.0), 3.0)
    low, high = row["interval"]
    spread = 1.96 * 100 * (0.6 * 1 + 0.2 * 0.25 - 0.7**2) ** 0.5 / 200**0.5  # of shares 1, 1/2 and 0
    assert (low, high) == (pytest.approx(70 - spread, abs=0.6), pytest.approx(70 + spread, abs=0.6))


def test_the_interval_of_one_seed_is_the_binomial_one():
    low, high = figures.bootstrap(torch.tensor([1.0] * 160 + [0.0] * 40))
    expected = [100 * binom.ppf(share, 200, 0.8) / 200 for share in (0.025, 0.975)]
    assert [low, high] == pytest.approx(expected, abs=0.51)


def test_every_table_that_is_measured_has_its_place_on_the_page():
    assert sorted(TABLES) == sorted(page.ORDER)

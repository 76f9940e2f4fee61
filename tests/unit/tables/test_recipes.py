"""The recipes of the paper's tables; what is refused; the page that is written from the results."""

import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.trained import MORE
from model_lego.errors import BadConfig
from model_lego.models import build, load_weights
from model_lego.tables.page import page
from model_lego.tables.recipe import task
from model_lego.tables.recipes import KINDS, read_recipes
from model_lego.tables.sweeps import pictures

ROOT = Path(__file__).parents[3]
RECIPES = read_recipes()
SOURCES = [(scale, name) for scale, known in RECIPES.materials.items() for name in known.sources]


def test_every_table_of_the_paper_has_rows_at_both_scales():
    kinds = {table.name: table.kind for table in RECIPES.tables}
    assert (
        {"disassembling", "assembling", "joining", "cutting", "bricks", "graphs"}
        == set(KINDS)
        == {*kinds.values()} - {None}
    )
    assert len(kinds) == len(RECIPES.tables)
    for table in RECIPES.tables:
        assert table.kind is None or (table.rows["cpu"] and table.rows["paper"]), table.name


def test_the_first_row_of_each_table_at_cpu_scale_needs_nothing_but_the_package():
    for table in RECIPES.tables:
        for row in table.rows.get("cpu", ())[:1]:
            assert all(RECIPES.materials["cpu"].sources[name].data == "digits" for name in row.needs)


@pytest.mark.parametrize(("scale", "name"), SOURCES, ids=str)
def test_every_network_can_be_built(scale, name):
    recipe = RECIPES.materials[scale].sources[name]
    with torch.device("meta"):
        assert build(recipe.network, num_classes=3, **recipe.arguments) is not None
    assert recipe.given or recipe.training["epochs"] >= (200 if scale == "paper" else 8)


#: Figures that the paper and the reproduction give, copied by hand: table, row, title -> figure.
PUBLISHED = [
    ("disassembling", "vgg16-cifar10/0-2", {"published base": 93.87, "published component": 95.47}),
    ("disassembling", "vgg16-cifar10/0-2", {"reproduced base": 94.01, "reproduced component": 91.56}),
    ("disassembling", "resnet50-cifar10/3-9", {"published base": 93.81, "published component": 94.46}),
    ("disassembling", "googlenet-cifar10/0", {"published base": 95.40, "published component": 100.00}),
    ("disassembling", "googlenet-tiny/70-179", {"published base": 47.91, "published component": 51.04}),
    (
        "assembling",
        "resnet50-cifar10/0-2+resnet50-cifar100/0-19/epochs=10",
        {"published base": 78.08, "published": 64.34, "published tuned": 76.37},
    ),
    (
        "assembling",
        "googlenet-cifar100/0-99+googlenet-tiny32/0-199/epochs=10",
        {"published base": 59.19, "published": 48.66, "published tuned": 58.28},
    ),
    (
        "assembling",
        "vgg16-cifar100/0-19+vgg16-tiny32/0-69/epochs=10",
        {"published base": 69.86, "published": 50.66, "reproduced base": 61.84, "reproduced": 35.09},
    ),
]


@pytest.mark.parametrize(("table", "name", "figures"), PUBLISHED)
def test_published_figures_stand_beside_the_rows_that_they_belong_to(table, name, figures):
    (found,) = [each for each in RECIPES.tables if each.name == table]
    (row,) = [row for row in found.rows["paper"] if row.id == name]
    assert {title: row.published[title] for title in figures} == figures


@pytest.fixture
def folder(tmp_path):
    source = {"network": "zoo:lenet5", "data": "digits", "training": {"epochs": 3}}
    known = {"cpu": {"data": {"digits": {"where": "digits"}}, "sources": {"net": source}}}
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(known))
    return tmp_path


TABLE = {"name": "one", "title": "One", "paper": "Table 1", "about": "About it.", "kind": "cutting"}


def with_rows(*rows, **more):
    return TABLE | {"rows": {"cpu": list(rows)}} | more


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (with_rows(colour="red"), "colour"),
        (with_rows(kind="dancing"), "kind 'dancing' is unknown; use one of disassembling"),
        (with_rows({"source": "net"}), "classes"),
        (with_rows({"source": "net", "classes": "0", "alpha": 1.5}), "alpha"),
        (with_rows({"source": "net", "classes": "0", "seeds": ["many"]}), "seeds"),
        (with_rows({"source": "nobody", "classes": "0"}), "row 'nobody/0' of table one wants 'nobody'"),
        (with_rows({"source": "net", "classes": "0"}, {"source": "net", "classes": "0"}), "'net/0' stands twice"),
        (with_rows({"source": "net", "classes": "0", "budget": {"params": -1}}, kind="bricks"), "budget params=-1"),
        (with_rows({"source": "net", "classes": "0", "budget": {"weight": 1}}, kind="bricks"), "weight"),
        (TABLE | {"rows": {"huge": []}}, "huge"),
        ("only words", "one.yaml"),
    ],
)  # fmt: skip
def test_wrong_recipes_are_refused(folder, table, words):
    (folder / "one.yaml").write_text(yaml.safe_dump(table))
    with pytest.raises(BadConfig, match=words):
        read_recipes(folder)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"huge": {}}, "has to say what there is at scale cpu and paper"),
        ({"cpu": {"data": {}, "sources": {"net": {"network": "zoo:vgg16", "data": "x"}}}}, "wants data 'x'"),
        ({"cpu": {"data": {}, "sources": {"net": {"network": "a", "data": "x", "training": {"speed": 2}}}}}, "speed"),
        ({"cpu": {"data": {"x": {"where": "x", "per_class": 0}}, "sources": {}}}, "per_class"),
    ],
)
def test_wrong_sources_are_refused(folder, known, words):
    (folder / "sources.yaml").write_text(yaml.safe_dump(known))
    with pytest.raises(BadConfig, match=words):
        read_recipes(folder)


def test_a_row_that_varies_stands_for_one_of_each_value(folder):
    table = with_rows({"source": "net", "vary": {"classes": ["0", "1-2"], "alpha": [0.1, 0.5]}})
    (folder / "one.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    rows = read_recipes(folder).tables[0].rows["cpu"]
    assert [row.id for row in rows] == ["net/0/alpha=0.1", "net/0/alpha=0.5", "net/1-2/alpha=0.1", "net/1-2/alpha=0.5"]


# ---------------------------------------------------------------------------------------------------------- the page


def test_the_page_is_what_is_written_from_the_results():
    assert (ROOT / "docs/results.md").read_text(encoding="utf-8") == page(
        ROOT / "docs/results", RECIPES, folder=ROOT / "docs"
    )


def test_every_result_file_belongs_to_a_table():
    known = {f"{table.name}-{scale}.json" for table in RECIPES.tables for scale in table.rows}
    drawn = {file.name for file in pictures(ROOT / "docs/results", RECIPES)}
    found = {path.name for path in (ROOT / "docs/results").iterdir() if path.is_file()}
    assert drawn <= found <= known | drawn


def test_every_network_that_is_kept_is_that_of_a_recipe():
    sources = RECIPES.materials["cpu"].sources | MORE
    kept = list((ROOT / "docs/results/sources").iterdir())
    assert kept
    for file in kept:
        recipe = sources[file.stem]
        classes = len(task(recipe.classes)) if recipe.classes else 10
        load_weights(build(recipe.network, num_classes=classes, **recipe.arguments), file)  # refuses what does not fit


def test_figures_on_the_page_are_those_of_the_files():
    """Read back without our code: the first accuracy of a row with several seeds, mean and spread by hand."""
    rows = json.loads((ROOT / "docs/results/disassembling-cpu.json").read_text())["rows"]["lenet5-digits/0-2"]
    values = torch.tensor([entry["figures"]["source"]["accuracy"] for entry in rows.values()], dtype=torch.float64)
    assert len(values) == 3
    text = (ROOT / "docs/results.md").read_text()
    shown = re.search(r"^\| lenet5-digits/0-2 \| 300 \| ([\d.]+) ± ([\d.]+) \|", text, re.MULTILINE)
    assert [float(number) for number in shown.groups()] == pytest.approx(
        [values.mean().item(), values.std().item()], abs=0.051
    )

"""model-lego bench: from recipes to a page, a small world; what is there already, fails, or misses its network."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import model_lego as ml
from model_lego.data import batches, open_data, photo_sets
from model_lego.models import build, load_weights
from tests.support.citations import citation_arrays
from tests.support.squares import ARGUMENTS, CLASSES, arrays, contents, refused, run, said, write_npz

TRAINING = {"epochs": 6, "batch_size": 16, "learning_rate": 0.05, "crop": 1, "flip": False}
NET = {"network": "zoo:lenet5", "arguments": ARGUMENTS, "data": "squares", "seeded": True, "training": TRAINING}
PARTS = [{"source": "low", "classes": "0,1"}, {"source": "high", "classes": "2-3"}]
COMMON = {"paper": "Table 0", "about": "Squares."}
#: A table of each kind, small.
TABLES = {
    "1": {"name": "apart", "title": "Apart", "kind": "disassembling",
          "rows": {"cpu": [{"source": "net", "classes": "1-3", "seeds": [0, 1], "others": 4,
                            "published": {"published": 71.5}}]}},
    "2": {"name": "together", "title": "Together", "kind": "assembling",
          "rows": {"cpu": [{"parts": PARTS, "epochs": 2, "calibration": 8, "budget": {"params": 0.6}}]}},
    "3": {"name": "ways", "title": "Ways", "kind": "joining", "rows": {"cpu": [{"parts": PARTS, "calibration": 8}]}},
    "4": {"name": "samples", "title": "Samples", "kind": "cutting",
          "rows": {"cpu": [{"source": "net", "classes": "0-1", "vary": {"images": [[6, 6], [10, 2]]}},
                           {"source": "net", "classes": "0-1", "alpha": 0.6}]}},
    "5": {"name": "single", "title": "Single", "kind": "bricks",
          "rows": {"cpu": [{"source": "net", "classes": "0-3", "budget": {"params": 0.5}, "calibration": 8}]}},
    "6": {"name": "slot", "title": "Slot"},
    "7": {"name": "papers", "title": "Papers", "kind": "graphs",
          "rows": {"cpu": [{"data": "papers", "classes": "1-2", "hidden": 8, "epochs": 30, "seeds": [0, 1]}]}},
}  # fmt: skip


def dim(arrays):
    """The squares under so much noise that no network gets all of them right: figures of 100 % would tell nothing."""
    noise = np.random.default_rng(0)
    return {
        name: (0.15 * arrays[name] + noise.integers(0, 210, arrays[name].shape)).astype(np.uint8)
        for name in ("x_train", "x_test")
    }


@pytest.fixture
def place(tmp_path):
    """A folder of recipes with data of their own."""
    known = {"squares": {"where": str(write_npz(tmp_path / "recipes.npz", **dim(arrays())))}}
    (tmp_path / "recipes").mkdir()
    np.savez(tmp_path / "recipes" / "papers.npz", **citation_arrays())
    known["papers"] = {"where": str(tmp_path / "recipes" / "papers.npz")}
    sources = {"net": NET, "low": NET | {"classes": "0-1"}, "high": NET | {"classes": "2-3"}}
    write(tmp_path, "sources", {"cpu": {"data": known, "sources": sources}})
    for number, table in TABLES.items():
        write(tmp_path, number, COMMON | table)
    return tmp_path


def write(place, name, recipe):
    (place / "recipes").mkdir(exist_ok=True)
    (place / "recipes" / f"{name}.yaml").write_text(yaml.safe_dump(recipe))


def bench(place, *more):
    return run(
        "bench", "tables", "--recipes", place / "recipes", "--sources", place / "nets", "--results", place / "found",
        "--page", place / "page.md", *more,
    )  # fmt: skip


def found(place, table, row, seed=0):
    return json.loads((place / "found" / f"{table}-cpu.json").read_text())["rows"][row][str(seed)]


def test_every_kind_of_table_is_measured_and_written_once(place):
    ran = bench(place)
    assert (ran.code, said(ran.out)) == (0, f"10 done; written to {place / 'page.md'}")
    page, files = (place / "page.md").read_text(), contents(place / "found")
    assert sorted(str(name) for name in files) == [
        f"{n}-cpu.json" for n in ("apart", "papers", "samples", "single", "together", "ways")
    ]
    assert re.search(r"^\| net/1-3 \| 30 \| [\d.]+ ± [\d.]+ \|.*\| 71\.5 \|$", page, re.MULTILINE)
    assert "not measured" not in page.lower()
    again = bench(place)
    assert said(again.out).startswith("10 there already")
    assert (again.err, contents(place / "found"), (place / "page.md").read_text()) == ("", files, page)
    once_more = bench(place, "--again", "--table", "ways", "--json")
    assert [row["outcome"] for row in once_more.json["rows"]] == ["done"]
    assert found(place, "ways", "low/0,1+high/2-3/cut")["figures"] == json.loads(files[next(
        name for name in files if name.name == "ways-cpu.json"
    )])["rows"]["low/0,1+high/2-3/cut"]["0"]["figures"]  # fmt: skip


def test_the_figures_of_a_component_are_those_of_the_library(place):
    assert bench(place, "--table", "apart").code == 0
    split = open_data(place / "recipes.npz")
    for seed in (0, 1):
        figures = found(place, "apart", "net/1-3", seed)["figures"]
        weights = place / "nets" / f"net-{seed}" / "model.safetensors"
        model = load_weights(build("zoo:lenet5", num_classes=4, **ARGUMENTS), weights).eval()
        part = ml.disassemble(
            model, batches(split.train, batch_size=250), classes=[1, 2, 3], budget=ml.Budget(params=0.5), seed=seed
        )
        x = torch.stack([split.test.image(number) for number in split.test.numbers.tolist()])
        mine = split.test.labels > 0
        with torch.no_grad():
            whole, cut = model(x[mine]), part(x[mine])
        labels = split.test.labels[mine]
        assert figures["component"]["accuracy"] == pytest.approx(
            100 * (cut.argmax(1) == labels - 1).double().mean().item()
        )
        assert figures["source"]["accuracy"] == pytest.approx(100 * (whole.argmax(1) == labels).double().mean().item())
        right = (whole[:, 1:].argmax(1) == labels - 1).double().mean().item()
        assert figures["restricted"]["accuracy"] == pytest.approx(100 * right)
        cost = part.origin
        assert figures["component"]["parameters"] == pytest.approx(
            100 * sum(p.numel() for p in part.parameters()) / cost.cost_before.parameters
        )
        assert figures["ours, as small"]["parameters"] <= figures["published"]["parameters"]
        assert figures["samples"] == 30
        assert figures["component"]["parameters"] != figures["published"]["parameters"]


def test_the_figures_of_an_assembly_are_those_of_the_library(place):
    assert bench(place, "--table", "together").code == 0
    figures = found(place, "together", "low/0,1+high/2-3/epochs=2")["figures"]
    split = open_data(place / "recipes.npz")
    x = torch.stack([split.test.image(number) for number in split.test.numbers.tolist()])
    logits, own = [], []
    for name, labels in (("low", [0, 1]), ("high", [2, 3])):
        model = load_weights(
            build("zoo:lenet5", num_classes=2, **ARGUMENTS), place / "nets" / f"{name}-0" / "model.safetensors"
        )
        with torch.no_grad():
            logits.append(model.eval()(x))
        mine = torch.isin(split.test.labels, torch.tensor(labels))
        own.append((logits[-1][mine].argmax(1) == split.test.labels[mine] - labels[0]).double().mean().item())
    joint = (torch.cat(logits, 1).argmax(1) == split.test.labels).double().mean().item()
    assert figures["sources"]["accuracy"] == pytest.approx(100 * joint)
    assert figures["base"] == pytest.approx(100 * sum(own) / 2)
    assert len({figures["base"], figures["sources"]["accuracy"], 100.0}) == 3
    assert {"published", "tuned", "ours", "assembly", "uncut, calibrated"} <= set(figures)
    assert figures["uncut, calibrated"]["parameters"] == pytest.approx(100, abs=1)
    assert figures["assembly"]["parameters"] < 65


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The squares as PNG files."""
    folder, found = tmp_path_factory.mktemp("photos"), arrays()
    for part in ("train", "test"):
        for number, (image, label) in enumerate(zip(found[f"x_{part}"], found[f"y_{part}"], strict=True)):
            path = folder / part / CLASSES[label] / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.reshape(image.shape[:2])).save(path)
    return folder


@pytest.mark.parametrize(("options", "kept"), [([], 2**30), (["--cache", "0"], 0), (["--cache", "7"], 7 * 2**20)])
def test_photos_are_kept_within_the_budget(place, photos, options, kept, monkeypatch):
    budgets, real = [], photo_sets.Kept
    monkeypatch.setattr(photo_sets, "Kept", lambda budget: budgets.append(budget) or real(budget))
    ran = bench(place, "--data", f"squares={photos}", "--table", "samples", "--row", "net/0-1/alpha=0.6", *options)
    assert (ran.code, said(ran.out)) == (0, f"1 done; written to {place / 'page.md'}")
    assert set(budgets) == {kept}


def test_a_budget_below_nothing_is_refused(place):
    words = "--cache -1 is no size; give the MiB of photos to keep in memory, 0 for none"
    assert refused(bench(place, "--cache", "-1")) == words
    assert not (place / "page.md").exists()


def test_a_network_that_is_missing_is_left_out_and_the_page_says_so(place):
    ran = bench(place, "--no-train", "--table", "samples")
    assert ran.code == 0
    assert "samples net/0-1/alpha=0.6, seed 0: no source (net is not there)" in said(ran.err)
    assert not (place / "nets").exists()
    assert "No row has been measured yet" in (place / "page.md").read_text()


def test_a_network_that_is_kept_with_the_results_is_not_trained(place):
    assert bench(place, "--table", "samples").code == 0
    row = "net/0-1/alpha=0.6"
    figures = found(place, "samples", row)["figures"]
    (place / "found" / "sources").mkdir()
    (place / "nets" / "net-0" / "model.safetensors").rename(place / "found" / "sources" / "net.safetensors")
    shutil.rmtree(place / "nets")
    ran = bench(place, "--no-train", "--table", "samples", "--again")
    assert "no source" not in said(ran.err)
    assert re.match(r"\d+ done; written", said(ran.out))
    assert found(place, "samples", row)["figures"] == figures
    assert not (place / "nets").exists()


def test_a_row_that_fails_says_why_and_is_tried_again(place):
    write(
        place,
        "5",
        COMMON | TABLES["5"] | {"rows": {"cpu": [{"source": "net", "classes": "0-3", "budget": {"params": 1e-6}}]}},
    )
    ran = bench(place, "--table", "single", "--table", "slot")
    assert (ran.code, ran.out.split(";")[0]) == (0, "1 failed")
    assert "cannot be met" in found(place, "single", "net/0-3")["failed"]
    assert re.search("`net/0-3` failed: the budget params=1e-06 cannot be met", (place / "page.md").read_text())
    write(place, "5", COMMON | TABLES["5"])
    assert bench(place, "--table", "single").out.split(";")[0] == "1 done"
    assert "failed" not in (place / "page.md").read_text()


def test_a_result_of_another_recipe_counts_no_more(place):
    assert bench(place, "--table", "samples", "--row", "net/0-1/alpha=0.6").out.startswith("1 done")
    changed = {"source": "net", "classes": "0-1", "alpha": 0.6, "beta": 0.2, "published": {"published": 1.0}}
    write(place, "4", COMMON | TABLES["4"] | {"rows": {"cpu": [changed | {"seeds": [0]}]}})
    page = bench(place, "--no-train", "--table", "slot")
    assert page.code == 0
    write(place, "4", COMMON | TABLES["4"])
    assert bench(place, "--table", "samples", "--row", "net/0-1/alpha=0.6").out.startswith("1 there already")
    slower = {"net": NET | {"minutes": 9}, "low": NET, "high": NET}
    data = yaml.safe_load((place / "recipes" / "sources.yaml").read_text())["cpu"]["data"]
    write(place, "sources", {"cpu": {"data": data, "sources": slower}})
    assert bench(place, "--table", "samples", "--row", "net/0-1/alpha=0.6").out.startswith("1 there already")
    longer = {name: NET | {"training": TRAINING | {"epochs": 7}} for name in slower}
    write(place, "sources", {"cpu": {"data": data, "sources": longer}})
    assert bench(place, "--table", "samples", "--row", "net/0-1/alpha=0.6").out.startswith("1 done")


def test_the_command_that_the_page_gives_trains_the_same_network(place, tmp_path):
    assert bench(place, "--table", "samples", "--row", "net/0-1/alpha=0.6").code == 0
    line = re.search(r"^- net, cpu: `model-lego (train .*)`$", (place / "page.md").read_text(), re.MULTILINE).group(1)
    words = shlex.split(line.replace("build/sources", str(tmp_path / "own")))
    assert run(*words).code == 0
    assert contents(tmp_path / "own" / "net-0") == contents(place / "nets" / "net-0")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--table", "nothing"), "there is no table 'nothing'; there are apart, together"),
        (("--row", "net/9"), "there is no row 'net/9'; there are net/1-3"),
        (("--scale", "huge"), "scale 'huge' is unknown; use 'cpu' or 'paper'"),
        (("--data", "squares"), "'squares' is no NAME=WHERE; data sets of the recipes are papers, squares"),
        (("--data", "circles=x.npz"), "is no NAME=WHERE"),
        (("--recipes", "nowhere"), "cannot be read"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(place, more, words):
    assert words in refused(bench(place, *more))
    assert sorted(path.name for path in place.iterdir()) == ["recipes", "recipes.npz"]


def test_a_page_of_something_else_is_never_replaced(place):
    (place / "page.md").write_text("# My thesis\n")
    assert "is no page of results" in refused(bench(place))
    assert (place / "page.md").read_text() == "# My thesis\n"
    assert "there is no benchmark 'chairs'" in refused(run("bench", "chairs"))

"""model-lego attribute: statistics as a file, from which plan and disassemble locate without summing again."""

import json
from pathlib import Path

import pytest

from tests.support.squares import CLASSES, contents, run


@pytest.fixture(scope="module")
def stats(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics") / "all"
    ran = run("attribute", *world.source(), "--out", folder)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("5 layers, 4 classes\nant: ")
    assert "written to" in ran.err
    return folder


@pytest.mark.parametrize("classes", ["ant,bee", "dog"])
def test_a_plan_from_the_file_is_the_plan_from_the_images(world, stats, classes):
    arguments = ("plan", "--paper", *world.source(), "--classes", classes, "--json")
    direct = run(*arguments)
    found = run(*arguments, "--stats", stats)
    assert (found.code, found.err) == (0, "")
    assert found.json["layers"] == direct.json["layers"]


def test_a_component_from_the_file_is_the_one_from_the_images(world, stats, tmp_path):
    arguments = ("disassemble", "--paper", *world.source(), "--classes", "cat,ant")
    assert run(*arguments, "--out", tmp_path / "direct").code == 0
    assert run(*arguments, "--out", tmp_path / "stored", "--stats", stats).code == 0
    weights = [contents(tmp_path / name)[Path("model.safetensors")] for name in ("direct", "stored")]
    assert weights[0] == weights[1]


def test_statistics_are_added(world, stats, tmp_path):
    ran = run("attribute", *world.source(), "--add", stats, "--out", tmp_path / "twice", "--json")
    once = json.loads((stats / "manifest.json").read_text())["counts"]
    assert ran.json["samples"] == {name: 2 * count for name, count in zip(CLASSES, once, strict=True)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "--classes", "ant", "--stats", "nowhere"], "'nowhere' is not a folder"),
        (["plan", "--classes", "dog", "--stats", "few"], "class 3 is not in the statistics, which have [0, 1]"),
        (["attribute", "--add", "nowhere", "--out", "new"], "'nowhere' is not a folder"),
        (["attribute", "--out", "few"], "'few' exists already"),
        (["attribute", "--classes", "emu", "--out", "new"], "emu"),
        (["attribute", "--sampling", "best", "--out", "new"], "sampling 'best' is unknown"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(world, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("attribute", *world.source(), "--classes", "ant,bee", "--out", "few").code == 0
    before = contents(tmp_path / "few")
    ran = run(arguments[0], *world.source(), *arguments[1:])
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("\n") == 1
    assert words in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["few"]
    assert contents(tmp_path / "few") == before


def test_statistics_of_another_network_are_refused(world, tmp_path):
    assert run("attribute", *world.source(), "--out", tmp_path / "one").code == 0
    ran = run("plan", *world.source(world.others), "--classes", "ant", "--stats", tmp_path / "one")
    assert ran.code == 1
    assert "taken from another network" in ran.err

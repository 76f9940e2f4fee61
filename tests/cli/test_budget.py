"""--budget, --criterion and --curve of plan and disassemble."""

import pytest

from model_lego import Budget
from model_lego.cli.budget import parse_budget
from model_lego.errors import BadConfig
from tests.support.squares import refused, run, said


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        (None, None),
        (["params=0.2"], Budget(params=0.2)),
        (["params=0.2,macs=0.3"], Budget(params=0.2, macs=0.3)),
        (["bytes=2e6", "drop = 0.5"], Budget(bytes=2e6, accuracy_drop=0.5)),
    ],
)
def test_limits_are_read_as_they_are_written(given, budget):
    assert parse_budget(given) == budget


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["size=3"], "names no limit; give NUMBER for one of params="),
        (["params"], "no number behind params="),
        (["params=much"], "no number behind params="),
        (["params=0.1,params=0.2"], "gives params twice"),
        ([" , "], "--budget is empty"),
        (["params=-1"], "has to be a positive number"),
    ],
)
def test_limits_that_cannot_be_read_are_refused(given, words):
    with pytest.raises(BadConfig, match=words):
        parse_budget(given)


def test_plan_keeps_a_budget_and_shows_the_curve(world, tmp_path):
    pytest.importorskip("matplotlib")
    line = ["plan", *world.source(), "--classes", "ant,bee", "--budget", "params=0.2,macs=0.5", "--curve-out"]
    ran = run(*line, tmp_path / "curve.png", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["parameters"] <= 0.2 * ran.json["curve"]["source"]["parameters"]
    assert ran.json["macs"] <= 0.5 * ran.json["curve"]["source"]["macs"]
    assert ran.json["budget"]["asked"] == {"params": 0.2, "macs": 0.5}
    assert len(ran.json["curve"]["points"]) > 2
    assert [path.name for path in tmp_path.iterdir()] == ["curve.png"]


def test_disassemble_takes_a_drop_a_criterion_and_prints_the_curve(world, tmp_path):
    line = ["disassemble", *world.source(), "--classes", "ant,bee", "--out", tmp_path / "one"]
    ran = run(*line, "--budget", "drop=5", "--criterion", "count", "--curve")
    assert ran.code == 0, ran.err
    assert "held-out calibration images" in ran.out
    from model_lego import load

    record = load(tmp_path / "one").origin.settings["budget"]
    assert record["criterion"] == "count"
    assert record["reached"]["accuracy_drop"] <= 5


@pytest.mark.parametrize("command", ["plan", "disassemble"])
@pytest.mark.parametrize(
    ("more", "words"),
    [(["--curve-out", "curve.gif"], "end it in .png or .svg"), (["--budget", "size=3"], "names no limit")],
)
def test_options_are_refused_before_the_network_is_read(world, tmp_path, monkeypatch, command, more, words):
    monkeypatch.setattr("model_lego.cli.disassemble.open_source", None)
    out = ["--out", tmp_path / "one"] if command == "disassemble" else []
    assert words in refused(run(command, *world.source(), "--classes", "ant,bee", *out, *more))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budget", "params=0.000001"], "cannot be met: the smallest component"),
        (["--paper", "--criterion", "count"], "give a budget as well"),
        (["--curve-out", "curve.gif"], "end it in .png or .svg"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(world, tmp_path, monkeypatch, more, words):
    monkeypatch.chdir(tmp_path)
    said_so = refused(run("disassemble", *world.source(), "--classes", "ant,bee", "--out", tmp_path / "one", *more))
    assert words in said(said_so)
    assert list(tmp_path.iterdir()) == []

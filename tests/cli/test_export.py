"""model-lego export: a saved part as a file, compared on real images; what is refused before it is read."""

import json

import pytest

from tests.support.squares import refused, run


def test_an_assembly_becomes_one_file_that_was_compared(world, tmp_path):
    file = tmp_path / "both.onnx"
    ran = run("export", world.both, "--to", file, "--data", world.data, "--with-preprocessing", "--json")
    assert (ran.code, ran.err) == (0, f"written to {file}\n")
    assert ran.json["files"] == [str(file)]
    assert (ran.json["images"], ran.json["real"], ran.json["agreement"]) == (40, True, 100)
    assert (ran.json["takes"], ran.json["gives"]) == ("uint8 N x H x W x 1", "probabilities")


def test_a_state_dict_of_a_component(world, tmp_path):
    ran = run("export", world.one, "--to", tmp_path / "one.safetensors")
    assert ran.code == 0, ran.err
    assert "compared in a fresh process (torch" in ran.out
    assert "the same class for 64 of 64" in ran.out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--to", "x.tflite"], "does not say what to export to by its ending"),
        (["--to", "there.pt2"], "exists already: choose another file, or give --overwrite"),
        (["--to", "x.pt2", "--opset", "18"], "--opset 18 is about ONNX"),
        (["--to", "x.safetensors", "--with-preprocessing"], "leave --with-preprocessing out"),
        (["--to", "x.pt2", "--data", "nowhere"], "nowhere"),
    ],
)
def test_what_is_refused(world, tmp_path, monkeypatch, given, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.pt2").write_text(json.dumps("mine"))
    assert words in refused(run("export", world.one, *given))
    assert [file.name for file in tmp_path.iterdir()] == ["there.pt2"]

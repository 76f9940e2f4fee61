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


def test_int8_is_measured_beside_floats(world, tmp_path):
    file = tmp_path / "both.onnx"
    ran = run("export", world.both, "--to", file, "--data", world.data, "--int8", "--json")
    assert (ran.code, ran.err) == (0, f"written to {file}\n")
    assert (ran.json["file"], ran.json["held_out"]) == (str(file), True)
    assert ran.json["bytes"] == file.stat().st_size
    assert set(ran.json["faster"]) == {"1", "32"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--to", "x.onnx", "--int8"], "--int8 takes the ranges of values from images: give --data"),
        (["--to", "x.onnx", "--int8", "--opset", "18"], "leave --opset out"),
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


def test_times_are_shown_in_a_table_for_each_runtime(world, tmp_path, monkeypatch):
    from model_lego.cli import latency as command
    from model_lego.exporting.latency import Timed

    rows = (
        Timed("one: source", "torch", 1, 8, 4.0, 3.5, 4.5, None, None, 2**21, 2**22),
        Timed("one", "torch", 1, 8, 2.0, 1.5, 2.5, "one: source", 2.0, 2**20, 2**21),
    )
    monkeypatch.setattr(command, "latency", lambda parts, runtimes, **how: rows if list(parts) == ["one"] else ())
    ran = run("latency", world.one, "--runtime", "torch", "--chart", tmp_path / "times.png")
    assert (ran.code, ran.err) == (0, f"drawn into {tmp_path / 'times.png'}\n")
    assert all(words in ran.out for words in ("1 thread", "one: source", "1.50 to 2.50", "4000", "2.00", "1.0 MiB"))
    assert run("latency", world.one, "--json").json[1]["faster"] == 2.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--batch", "1,none"], "--batch 1,none has to be whole numbers from 1 on"),
        (["--runtime", "tflite"], "runtime 'tflite' is unknown"),
        (["--chart", "x.gif"], "no picture that can be drawn"),
    ],
)
def test_times_that_cannot_be_taken(world, given, words):
    assert words in refused(run("latency", world.one, *given))

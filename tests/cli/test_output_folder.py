"""What is written is written whole: an existing folder is safe, and an interrupted command leaves nothing behind."""

import shutil

import pytest
import safetensors.torch

from model_lego.store import saving
from tests.support.squares import contents, refused, run


def commands(world, out):
    """The commands that write, each writing to `out`."""
    return {
        "disassemble": [
            "disassemble",
            "--paper",
            *world.source(),
            "--classes",
            "cat",
            "--repair",
            "none",
            "--out",
            out,
        ],
        "assemble": ["assemble", world.one, world.two, "--out", out],
    }


WRITING = ("disassemble", "assemble")


@pytest.fixture
def old(world, tmp_path):
    """A saved component where the new one shall go."""
    return shutil.copytree(world.two, tmp_path / "part")


@pytest.mark.parametrize("command", WRITING)
def test_an_existing_folder_is_left_alone(world, old, command):
    before = contents(old.parent)
    assert "exists already" in (words := refused(run(*commands(world, old)[command])))
    assert "--overwrite" in words
    assert contents(old.parent) == before


def test_an_existing_folder_is_refused_before_anything_is_read(old):
    ran = run("disassemble", "zoo:lenet5", "--data", "nowhere", "--classes", "0", "--out", old)
    assert "exists already" in refused(ran)


@pytest.mark.parametrize("command", WRITING)
def test_overwriting_replaces_a_folder_of_ours(world, old, command):
    ran = run(*commands(world, old)[command], "--overwrite")
    assert ran.code == 0, ran.err
    kind = run("inspect", old, "--json").json
    assert (kind["kind"], len(kind["parts"])) == (("component", 1) if command == "disassemble" else ("assembly", 2))
    assert [path.name for path in old.parent.iterdir()] == ["part"]


@pytest.mark.parametrize("command", WRITING)
def test_overwriting_never_throws_away_what_is_not_ours(world, tmp_path, command):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("dear to me")
    before = contents(tmp_path)
    assert "is not overwritten" in refused(run(*commands(world, tmp_path / "photos")[command], "--overwrite"))
    assert contents(tmp_path) == before


def test_an_assembly_may_replace_one_of_its_own_parts(world, old):
    ran = run("assemble", world.one, old, "--out", old, "--overwrite")
    assert ran.code == 0, ran.err
    assert run("evaluate", old, "--data", world.data, "--json").json["classes"] == ["ant", "bee", "dog", "cat"]


def half_written(tensors, path, metadata):
    path.write_text("half of it")
    raise OSError(28, "No space left on device")


def interrupted(*_, **__):
    raise KeyboardInterrupt


BREAKS = {
    "full disk": (safetensors.torch, "save_file", half_written),
    "Ctrl-C before the manifest": (saving, "manifest_of", interrupted),
    "Ctrl-C before the card": (saving, "card", interrupted),
}


@pytest.mark.parametrize("command", WRITING)
@pytest.mark.parametrize("how", BREAKS)
def test_an_interrupted_command_leaves_nothing_behind(world, tmp_path, monkeypatch, how, command):
    monkeypatch.setattr(*BREAKS[how])
    ran = run(*commands(world, tmp_path / "part")[command])
    assert ran.code != 0
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", WRITING)
@pytest.mark.parametrize("how", BREAKS)
def test_an_interrupted_overwrite_leaves_the_old_folder_whole(world, old, monkeypatch, how, command):
    before = contents(old.parent)
    monkeypatch.setattr(*BREAKS[how])
    ran = run(*commands(world, old)[command], "--overwrite")
    assert ran.code != 0
    assert contents(old.parent) == before
    assert [path.name for path in old.parent.iterdir()] == ["part"]


@pytest.mark.parametrize("command", WRITING)
def test_a_folder_of_somebody_else_is_refused_before_any_work(world, tmp_path, monkeypatch, command):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "thesis.txt").write_text("years of work")
    monkeypatch.setattr("model_lego.cli.sources.open_data", interrupted)  # nothing is read
    monkeypatch.setattr("model_lego.cli.sources.load", interrupted)
    ran = run(*commands(world, tmp_path / "part")[command], "--overwrite")
    assert "is no saved part or statistics" in refused(ran)
    assert (tmp_path / "part" / "thesis.txt").read_text() == "years of work"


RESUMABLE = {
    "demo": ("digits-1-3/manifest.json", "parts that were saved until then"),
    "train": ("checkpoint.pt", "--resume goes on after the last epoch"),
    "finetune": ("checkpoint.pt", "--resume goes on after the last epoch"),
    "attribute": ("process-0/samples.safetensors", "--resume goes on from where it was a minute ago"),
}


@pytest.mark.parametrize("command", RESUMABLE)
@pytest.mark.parametrize("noted", [False, True])
def test_what_an_interruption_leaves_is_said_where_something_is_left(world, tmp_path, monkeypatch, command, noted):
    file, words = RESUMABLE[command]
    out = tmp_path / "new"

    def begun(*_, **__):
        if noted:
            path = (out if command in ("demo", "train") else out.with_name("new.unfinished")) / file
            path.parent.mkdir(parents=True)
            path.write_bytes(b"")
        raise KeyboardInterrupt

    place = {"finetune": "open_part", "attribute": "open_source", "train": "read_data"}.get(command, "open_data")
    monkeypatch.setattr(f"model_lego.cli.{command}.{place}", begun)
    subjects = {
        "demo": [],
        "finetune": [world.one, "--data", world.data],
        "train": ["zoo:lenet5", "--data", world.data],
    }
    ran = run(command, *subjects.get(command, world.source()), "--out", out)
    assert (ran.code, ran.out) == (130, "")
    assert (words in ran.err, "nothing was written" in ran.err) == (noted, not noted)


def test_a_full_disk_is_said(world, tmp_path, monkeypatch):
    monkeypatch.setattr(*BREAKS["full disk"])
    assert "No space left on device" in refused(run(*commands(world, tmp_path / "part")["assemble"]))


def test_an_interruption_has_its_own_exit_code(world, tmp_path, monkeypatch):
    monkeypatch.setattr(*BREAKS["Ctrl-C before the card"])
    assert run(*commands(world, tmp_path / "part")["assemble"]).code == 130


def test_an_interruption_is_said(world, tmp_path, monkeypatch):
    monkeypatch.setattr(*BREAKS["Ctrl-C before the card"])
    ran = run(*commands(world, tmp_path / "part")["assemble"])
    assert (ran.out, ran.err) == ("", "interrupted; nothing was written\n")

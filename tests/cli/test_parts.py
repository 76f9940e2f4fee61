"""model-lego parts, and parts of the bin where commands take a part."""

import json
import re

import pytest

from tests.support.squares import refused, run, said


@pytest.fixture
def shelf(tmp_path, monkeypatch, world):
    """A bin with the two components of the world and their assembly."""
    monkeypatch.setenv("MODEL_LEGO_PARTS", str(tmp_path / "shelf"))
    for folder, more in ((world.one, ["--licence", "mit"]), (world.two, ["--name", "pets"]), (world.both, [])):
        ran = run("parts", "add", folder, *more)
        assert ran.code == 0, ran.err
        assert re.fullmatch(r"bin:[a-z]+@[0-9a-f]{12}\n", ran.out)
    return tmp_path / "shelf"


def names(ran):
    assert ran.code == 0, ran.err
    return [part["name"] for part in ran.json["parts"]]


def test_parts_are_listed_and_searched(shelf):
    ran = run("parts", "list")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("3 parts of ")
    assert "zoo:lenet5" in ran.out
    assert names(run("parts", "list", "--json")) == ["both", "one", "pets"]
    for asked, found in (
        (["--class", "dog"], ["both", "pets"]),
        (["--class", "D*", "--class", "ant"], ["both"]),
        (["--source", "lenet"], ["both", "one", "pets"]),
        (["--licence", "MIT"], ["one"]),
        (["--within", "params=1,macs=1e9"], []),
        (["--within", "bytes=1e9", "--class", "cat"], ["both", "pets"]),
        (["--accuracy", "101"], []),
        (["--accuracy", "50", "--class", "bee"], ["both", "one"]),
        (["pets"], ["pets"]),
    ):
        assert names(run("parts", "search", *asked, "--json")) == found, asked


def test_what_is_known_of_a_part_is_shown(shelf):
    ran = run("parts", "show", "one")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("bin:one@")
    for words in (
        "kind component",
        "classes ant, bee",
        "source zoo:lenet5 (image_size=16",
        "licence mit",
        "accuracy 100",
    ):
        assert words in said(ran.out)
    told = run("parts", "show", "bin:one", "--json").json
    assert told["classes"] == ["ant", "bee"]
    assert told["folder"] == str(shelf / f"one@{told['digest'][:16]}")


def test_commands_take_parts_of_the_bin(shelf, world, tmp_path):
    for words in (
        ["inspect", "bin:one"],
        ["evaluate", "bin:one", "--data", world.data],
        ["doctor", "bin:one"],
        ["plan", "bin:one", "--data", world.data, "--classes", "ant", "--paper"],
        ["assemble", "bin:one", "bin:pets", "--data", world.data, "--out", tmp_path / "joined"],
        ["remove", "bin:both", "--classes", "ant", "--out", tmp_path / "less"],
        ["add", "bin:one", "bin:pets", "--out", tmp_path / "more"],
        ["report", "bin:one", "--html", tmp_path / "one.html"],
    ):
        ran = run(*words)
        assert ran.code == 0, (words, ran.err)


def test_wrong_names_are_one_line(shelf, world):
    assert "has no part 'pest'; did you mean pets?" in refused(run("evaluate", "bin:pest", "--data", world.data))
    assert "has no part 'pest'" in refused(run("parts", "show", "pest"))
    assert "has no part 'nobody'" in refused(run("plan", "bin:nobody", "--data", world.data, "--classes", "ant"))
    assert run("parts", "add", world.two, "--name", "one").code == 0
    said_of_two = refused(run("inspect", "bin:one"))
    assert len(re.findall(r"one@[0-9a-f]{16}", said_of_two)) == 2
    assert "is no name for a part" in refused(run("parts", "add", world.one, "--name", "a b"))
    assert "'x' is not a folder" in refused(run("parts", "add", "x"))
    assert "--within 'size=3' is no size; use params=NUMBER" in refused(run("parts", "search", "--within", "size=3"))
    assert "--within 'macs=nan' is no size" in refused(run("parts", "search", "--within", "macs=nan"))


def test_folders_that_are_no_bin_are_one_line(world, tmp_path):
    assert "there is no parts bin" in refused(run("parts", "list", "--bin", tmp_path / "nowhere"))
    assert "is no parts bin, it holds other files" in refused(run("parts", "list", "--bin", world.one))
    assert "is no parts bin: Not a directory" in refused(run("parts", "add", world.one, "--bin", world.data))
    assert not (tmp_path / "nowhere").exists()


def test_a_bin_that_is_not_there_yet_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_LEGO_PARTS", str(tmp_path / "new"))
    assert names(run("parts", "list", "--json")) == []
    assert not (tmp_path / "new").exists()


def test_broken_parts_are_told_of(shelf):
    (weights,) = shelf.glob("pets@*/model.safetensors")
    weights.write_bytes(weights.read_bytes() + b"?")
    ran = run("parts", "verify")
    assert ran.code == 1
    assert ran.out.startswith("2 of 3 parts are whole\nbroken: pets@")
    assert run("parts", "verify", "one", "--json").json["broken"] == []
    (manifest,) = shelf.glob("one@*/manifest.json")
    manifest.write_text("{}")
    ran = run("parts", "list")
    assert re.match("note: one@[0-9a-f]{12} is broken: ", ran.err)
    assert run("parts", "show", "one").out.splitlines()[1].startswith("  broken ")


def test_parts_are_removed_all_or_none(shelf):
    digests = {part["name"]: part["digest"] for part in run("parts", "list", "--json").json["parts"]}
    one = f"one@{digests['one'][:4]}"
    assert "has to be told which part 'pets' is meant" in refused(run("parts", "remove", one, "pets"))
    assert names(run("parts", "list", "--json")) == ["both", "one", "pets"]
    assert run("parts", "remove", one, f"bin:pets@{digests['pets']}").out.startswith("removed one@")
    assert names(run("parts", "list", "--json")) == ["both"]
    assert run("evaluate", "bin:one", "--data", "digits").code == 1


def test_leftovers_are_collected(shelf):
    left = shelf / f"{'.' + next(shelf.glob('one@*')).name}.saving-abcdefgh"
    left.mkdir()
    assert run("parts", "gc", "--dry-run", "--json").json == {"dry_run": True, "leftovers": [left.name]}
    assert run("parts", "gc").out == f"1 leftovers removed\n  {left.name}\n"
    assert not left.exists()


def test_names_of_strangers_are_inert(shelf, tmp_path, world):
    from model_lego.names.bin_names import folder_name, manifest_digest

    (part,) = shelf.glob("one@*")
    raw = json.loads((part / "manifest.json").read_text())
    raw["parts"][0]["classes"] = ["\x1b[31mant", "\u202eeeb [link](http://x)"]
    (part / "manifest.json").write_text(json.dumps(raw))
    part.rename(shelf / folder_name("evil", manifest_digest(part)))
    for words in (["list"], ["show", "evil"]):
        ran = run("parts", *words)
        assert ran.code == 0, ran.err
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out


def test_long_tables_are_plain_and_whole(monkeypatch, capsys):
    from model_lego.cli import render

    monkeypatch.setattr(render, "LONG", 2)
    render.show_table("Title", ("name", "size"), [("a", 1), ("\x1b long", 22), ("c", 333)])
    assert capsys.readouterr().out == "Title\nname       size\na             1\n\\x1b long    22\nc           333\n"


def test_the_family_has_its_help():
    ran = run("parts", "--help")
    assert ran.code == 0
    for word in ("add", "list", "search", "show", "verify", "remove", "gc"):
        assert word in ran.out
    assert run("parts", "frobnicate").code == 2

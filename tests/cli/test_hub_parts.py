"""Parts on the Hub where commands take a part: the commit is said, and everything of one command is of it."""

import json
import re

import pytest
import yaml

from tests.support.hub_server import WRITES
from tests.support.squares import refused, run, said


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def shared(hub, cache, world):
    """The two components of the world and their assembly, on the Hub; their commits."""
    return {name: hub.make(f"user/{name}", files(getattr(world, name))) for name in ("one", "two", "both")}


def test_commands_take_parts_of_the_hub(shared, world, tmp_path):
    for words in (
        ["inspect", "hub:user/one"],
        ["inspect", "--tree", "hub:user/one@main"],
        ["diff", "hub:user/one", "hub:user/two"],
        ["recipe", "hub:user/one"],
        ["evaluate", "hub:user/one", "--data", world.data],
        ["assemble", "hub:user/one", "hub:user/two", "--data", world.data, "--out", tmp_path / "joined"],
        ["remove", "hub:user/both", "--classes", "ant", "--out", tmp_path / "less"],
        ["report", "hub:user/one", "--html", tmp_path / "one.html"],
        ["export", "hub:user/one", "--to", tmp_path / "one.safetensors"],
        ["parts", "add", "hub:user/one", "--bin", tmp_path / "bin"],
        ["make", "hub:user/both", "--dry-run"],
    ):
        ran = run(*words)
        assert ran.code == 0, (words, ran.err)
        for name in re.findall("hub:user/([a-z]+)", " ".join(map(str, words))):
            assert re.search(f"note: hub:user/{name}(@main)? is hub:user/{name}@{shared[name]}", ran.err), words


def test_what_is_made_of_them_names_their_commits(shared, hub, world, tmp_path):
    ran = run("assemble", "hub:user/one", world.two, "--data", world.data, "--out", tmp_path / "joined")
    assert ran.code == 0, ran.err
    pinned = f"hub:user/one@{shared['one']}"
    assert f"revision {pinned}" in said(run("inspect", "--tree", tmp_path / "joined").out)
    recipe = yaml.safe_load((tmp_path / "joined/recipe.yaml").read_text())
    assert recipe["steps"]["part"]["parts"][0] == pinned
    hub.make("user/one", files(world.both))
    again = run("make", tmp_path / "joined", "--out", tmp_path / "again", "--steps", tmp_path / "steps")
    assert again.code == 0, again.err
    assert "the same part as the recipe's, byte for byte" in again.out


def test_a_recipe_takes_them_and_looks_ahead_without_fetching(shared, hub, world, tmp_path):
    steps = {"both": {"command": "assemble", "parts": ["hub:user/one", "hub:user/two"]}}
    (tmp_path / "r.yaml").write_text(json.dumps({"steps": steps}))
    words = ["make", tmp_path / "r.yaml", "--steps", tmp_path / "steps"]
    ran = run(*words, "--dry-run")
    assert ran.code == 0, ran.err
    assert "both: hub:user/one, hub:user/two would be fetched" in said(ran.out)
    assert hub.asked == []
    assert run(*words, "--out", tmp_path / "made").code == 0
    hub.asked.clear()
    ran = run(*words, "--dry-run")
    assert ("unchanged" in ran.out, hub.asked) == (True, [])
    made = yaml.safe_load((tmp_path / "made/recipe.yaml").read_text())
    assert made["steps"]["both"]["parts"] == [f"hub:user/{name}@{shared[name]}" for name in ("one", "two")]


def test_a_branch_is_asked_for_once_in_a_command(shared, hub, world, tmp_path):
    ran = run("report", "hub:user/one", "--html", tmp_path / "one.html", "--data", world.data)
    assert ran.code == 0, ran.err
    assert hub.asked.count(("GET", "/api/models/user/one/revision/main")) == 1


def test_what_is_wrong_is_one_line(shared, world):
    for name, words in (
        ("hub:user/none", "'hub:user/none@main' cannot be fetched: there is no such repository"),
        ("hub:user/one@v2", "it has no branch, tag or commit 'v2'"),
        ("hub:one", "'hub:one' is no name of a part on the Hub"),
    ):
        assert words in refused(run("evaluate", name, "--data", world.data))
        assert words in refused(run("inspect", name))


def test_push_puts_a_part_there_and_says_its_name(hub, cache, world, monkeypatch):
    assert "'hub:me/one@main' cannot be written: the token that is there, if any" in refused(
        run("push", world.one, "hub:me/one")
    )
    monkeypatch.setenv("HF_TOKEN", WRITES)
    ran = run("push", world.one, "hub:me/one", "--private", "--message", "Ants and bees")
    assert ran.code == 0, ran.err
    assert ran.out == f"hub:me/one@{hub.repositories['me/one'].refs['main']}\n"
    assert hub.repositories["me/one"].private
    there = hub.files("me/one")
    assert there["manifest.json"] == (world.one / "manifest.json").read_bytes()
    assert sorted(there) == [".gitattributes", "README.md", "manifest.json", "model.safetensors", "recipe.yaml"]
    told = run("push", world.both, "me/both", "--revision", "next", "--json").json
    assert told["reference"] == f"hub:me/both@{told['commit']}"
    assert run("inspect", "hub:me/both@next").code == 0
    assert "is no name of a part on the Hub" in refused(run("push", world.one, "one"))
    assert "is public: make it private on its page first, or leave --private out" in refused(
        run("push", world.both, "me/both", "--private")
    )
    assert "'nowhere' is not a folder" in refused(run("push", "nowhere", "me/both"))

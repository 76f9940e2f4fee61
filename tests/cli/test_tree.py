"""inspect --tree: what a part is made of, with licences, data and the recipe beside it."""

import json
import shutil
from pathlib import Path

from model_lego.hub.card_header import header_of
from tests.support.squares import run

GOLDEN = Path(__file__).parents[1] / "store" / "golden"


def lines(ran):
    assert ran.code == 0, ran.err
    return [line.strip("│├└─ ") for line in ran.out.splitlines()]


def test_an_assembly_is_drawn_down_to_its_sources(world):
    drawn = lines(run("inspect", world.both, "--tree"))
    assert drawn[0].startswith("assembly for ant, bee, dog, cat, head ")
    assert [line.partition(",")[0] for line in drawn if line.startswith("part")] == ["part 1 for ant", "part 2 for dog"]
    assert sum(line.startswith("source zoo:lenet5 (") and line.endswith("licence unknown") for line in drawn) == 2
    assert sum(line.startswith("data: 48 images of animals.npz, digest ") for line in drawn) == 2
    assert drawn[-2] == "made by the commands in recipe.yaml"
    assert drawn[-1].startswith("written with model-lego ")


def test_a_licence_that_is_given_is_drawn_carried_and_warned_of(world, tmp_path):
    made = {}
    for name, classes, licence in (("one", "ant,bee", "gpl-2.0"), ("two", "dog,cat", "apache-2.0")):
        made[name] = tmp_path / name
        words = ("--classes", classes, "--licence", licence, "--out", made[name], "--repair", "none")
        assert run("disassemble", "--paper", *world.source(), *words).code == 0
    assert lines(run("inspect", made["one"], "--tree"))[1].endswith("licence gpl-2.0")
    assert header_of((made["one"] / "README.md").read_text())["license"] == "gpl-2.0"
    joined = run("assemble", made["one"], made["two"], "--out", tmp_path / "both")
    clash = "gpl-2.0 and apache-2.0 do not go together: the patent terms of the latter are a further restriction"
    assert f"note: licences of the parts: {clash}" in joined.err
    assert f"note: {clash}" in lines(run("inspect", tmp_path / "both", "--tree"))
    assert header_of((tmp_path / "both" / "README.md").read_text())["license"] == ["gpl-2.0", "apache-2.0"]


def test_data_are_remembered_without_folders_of_this_machine(world, tmp_path):
    shutil.copy(world.data, tmp_path / "photos.npz")
    words = ("--classes", "ant", "--data", tmp_path / "photos.npz", "--repair", "none", "--json")
    assert run("disassemble", "--paper", *world.source()[:-2], *words, "--out", tmp_path / "ant").code == 0
    manifest = (tmp_path / "ant" / "manifest.json").read_text()
    assert str(tmp_path) not in manifest
    assert json.loads(manifest)["parts"][0]["origin"]["provenance"]["data"] == ["photos.npz"]


def test_words_of_strangers_stay_on_their_line(tmp_path):
    shutil.copytree(GOLDEN / "schema-5" / "component", tmp_path / "part")
    raw = json.loads((tmp_path / "part" / "manifest.json").read_text())
    raw["parts"][0]["origin"]["provenance"] |= {"licences": ["mit\n└── checked"], "revisions": ["\x1b[31mred"]}
    (tmp_path / "part" / "manifest.json").write_text(json.dumps(raw))
    drawn = run("inspect", tmp_path / "part", "--tree").out.splitlines()
    assert len(drawn) == 4
    assert drawn[1].endswith(r"revision \x1b[31mred, licence mit └── checked")

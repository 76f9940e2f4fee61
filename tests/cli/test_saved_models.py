"""The folder of a saved component is a MODEL in every command: its module, classes and preprocessing come from it."""

import pytest

from tests.support.squares import NETWORK, refused, run


@pytest.fixture(scope="module")
def part(world, tmp_path_factory):
    """A component for three of the four classes, in an order of its own, with a normalisation."""
    out = tmp_path_factory.mktemp("saved") / "part"
    given = ("--classes", "dog,ant,cat", "--mean", "0.1", "--std", "0.9", "--size", "16", "--repair", "none")
    ran = run("disassemble", "--paper", *world.source(), *given, "--out", out)
    assert ran.code == 0, ran.err
    return out


def json(*command):
    ran = run(*command, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def test_a_plan_of_a_part(world, part):
    found = json("plan", "--paper", part, "--data", world.data, "--classes", "cat,dog")
    assert found["classes"] == ["cat", "dog"]
    assert found["parameters"] < json("inspect", part)["parts"][0]["origin"]["cost_after"]["parameters"]


def test_a_component_of_a_part_is_saved_as_one_of_its_source(world, part, tmp_path):
    given = ("--data", world.data, "--classes", "cat,dog", "--out", tmp_path / "small")
    found = json("disassemble", "--paper", part, *given, "--baselines")
    assert found["classes"] == ["cat", "dog"]
    origin = json("inspect", tmp_path / "small")["parts"][0]["origin"]
    outer = json("inspect", part)["parts"][0]["origin"]
    assert origin["source_digest"] == outer["source_digest"]
    assert json("inspect", tmp_path / "small")["parts"][0]["labels"] == [2, 3]
    for layer, kept in origin["kept_outputs"].items():
        assert set(kept) <= set(outer["kept_outputs"][layer])
    again = json("evaluate", tmp_path / "small", "--data", world.data)
    assert again["rows"][0]["accuracy"] == found["rows"][0]["accuracy"] > 90
    ran = run("evaluate", tmp_path / "small", "--data", world.data, "--source", *world.source()[:-2])
    assert ran.code == 0, ran.err


def test_a_part_is_made_smaller(world, part, tmp_path):
    json("compress", part, "--data", world.data, "--budget", "macs=0.6", "--out", tmp_path / "half")
    found = json("evaluate", tmp_path / "half", "--data", world.data)
    assert found["classes"] == ["dog", "ant", "cat"]
    assert found["rows"][0]["accuracy"] > 80


def test_routes_and_statistics_of_a_part(world, part, tmp_path):
    found = json("routes", part, "--data", world.data, "--image", "0", "--classes", "dog")
    assert found["names"][0] == "dog"
    found = json("attribute", part, "--data", world.data, "--out", tmp_path / "statistics")
    assert sorted(found["samples"]) == ["ant", "cat", "dog"]
    found = json("plan", part, "--data", world.data, "--classes", "ant", "--stats", tmp_path / "statistics")
    assert found["classes"] == ["ant"]


def test_other_commands_take_it_as_before(world, part, tmp_path):
    assert json("doctor", part)
    assert json("remove", part, "--classes", "ant", "--out", tmp_path / "less")["classes"] == ["dog", "cat"]


@pytest.mark.parametrize(
    "options",
    [
        ("--weights", "x.pt"),
        ("-a", "width=2"),
        ("--source-classes", "ant"),
        ("--size", "16"),
        ("--mean", "0", "--std", "1"),
        ("--interpolation", "nearest"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "routes"])
def test_what_the_part_says_is_not_said_again(world, part, command, options):
    words = refused(run(command, part, "--data", world.data, "--classes", "ant", *options))
    assert "is a folder, which says all by itself; leave --pretrained, --weights" in words


@pytest.mark.parametrize("options", [("--weights", "x.pt"), ("-a", "width=2")])
def test_doctor_says_so_too(part, options):
    assert "is a folder, which says all by itself" in refused(run("doctor", part, *options))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["finetune", "zoo:lenet5", "--out", "new"],
            "a network by its name is taken apart with `model-lego disassemble`",
        ),
        (["evaluate", "resnet18"], "is no folder of a saved component or assembly; did you mean torchvision:resnet18"),
        (["remove", "zoo:lenet5", "--classes", "ant", "--out", "new"], "give --weights FILE"),
        (["evaluate", "nowhere"], "'nowhere' is no folder of a saved component or assembly"),
    ],
)
def test_a_network_where_a_part_is_wanted(world, tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused(run(*command, "--data", world.data))


def test_an_assembly_is_no_source(world):
    words = refused(run("plan", world.both, "--data", world.data, "--classes", "ant"))
    assert "holds an assembly, and here one network is needed: name a component" in words


def test_a_network_to_train_is_built_by_its_name(part, world, tmp_path):
    words = refused(run("train", part, "--data", world.data, "--out", tmp_path / "new"))
    assert "finetune trains a saved part further" in words


@pytest.mark.parametrize("command", ["evaluate", "report", "unite"])
def test_the_source_of_a_part_takes_images_as_the_part_does(world, part, tmp_path, command):
    source = ("--source", *NETWORK, "--weights", world.weights, "--data", world.data)
    said = ("--mean", "0.1", "--std", "0.9", "--size", "16")
    found = []
    for more in ((), said, ("--size", "16")):
        out = {"evaluate": (), "report": ("--html", tmp_path / "part.html")}.get(command, ("--out", tmp_path / "one"))
        found.append(json(command, part, *source, *more, *out, *(("--overwrite",) if command == "unite" else ())))
    assert found[0] == found[1] == found[2]

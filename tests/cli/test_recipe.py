"""Recipes: written beside every part that a command makes, and made again byte for byte."""

import json
from pathlib import Path

import pytest
import yaml

from benchmarks.kills import killed_makes, part
from tests.support.squares import contents, refused, run, said, write_npz

LENET = {"model": "zoo:lenet5", "argument": {"image_size": 16, "width": 0.5}}
PART = ("manifest.json", "model.safetensors")


@pytest.fixture
def here(world, tmp_path, monkeypatch):
    """An empty folder with a recipe of two components and their assembly, in which steps are kept, too."""
    monkeypatch.chdir(tmp_path)
    write(recipe(world))
    return tmp_path


def recipe(world):
    """What the parts of `world` were made by, in a recipe."""
    one = {"command": "disassemble", **LENET, "weights": str(world.weights), "classes": ["ant", "bee"], "paper": True}
    two = one | {"weights": str(world.others), "classes": "3,2"}
    both = {"command": "assemble", "parts": ["one", "two"]}
    return {"common": {"data": str(world.data)}, "steps": {"one": one, "two": two, "both": both}}


def write(plain, name="recipe.yaml"):
    Path(name).write_text(json.dumps(plain, indent=1))


def make(*more, name="recipe.yaml"):
    """Make a recipe; the names of the steps that ran, and of those that did not have to."""
    ran = run("make", name, "--steps", "kept", "--json", *more)
    assert ran.code == 0, ran.err
    steps = ran.json["steps"]
    return ran.json | {
        "ran": [each["name"] for each in steps if not each["unchanged"]],
        "unchanged": [each["name"] for each in steps if each["unchanged"]],
    }


def bytes_of(folder):
    return {name: (folder / name).read_bytes() for name in PART}


def test_a_recipe_gives_what_its_commands_give(here, world):
    made = make()
    assert made["ran"] == ["one", "two", "both"]
    assert made["written"] == ["both"]
    assert bytes_of(here / "both") == bytes_of(world.both)


def test_unchanged_steps_are_not_run_again(here, world):
    make()
    again = make()
    assert (again["ran"], again["written"]) == ([], [])
    changed = recipe(world)
    changed["steps"]["two"]["repair"] = "none"
    write(changed)
    refusal = run("make", "recipe.yaml", "--steps", "kept")
    assert "exists already" in refused(refusal)
    assert make("--overwrite")["ran"] == ["two", "both"]
    changed["common"]["cache"] = 7  # which changes nothing but memory
    write(changed)
    assert make()["ran"] == []
    assert make("--fresh", "--overwrite")["ran"] == ["one", "two", "both"]


def test_other_images_are_another_step(here, world, tmp_path):
    plain = recipe(world)
    plain["common"]["data"] = "own.npz"
    write_npz(tmp_path / "own.npz")
    write(plain)
    make()
    assert make()["ran"] == []
    from tests.support.squares import arrays

    write_npz(tmp_path / "own.npz", x_train=255 - arrays()["x_train"])
    assert make("--overwrite")["ran"] == ["one", "two", "both"]


def test_a_result_that_was_damaged_is_made_again(here):
    made = make()
    kept = here / "kept"
    (damaged,) = kept.glob("*/made/one/model.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    before = bytes_of(here / "both")
    assert make("--overwrite")["ran"] == ["one"]
    assert bytes_of(here / "both") == before
    assert made["folder" if "folder" in made else "written"]


def test_what_a_killed_make_left_is_removed_by_the_next(here):
    make()
    left = here / ".both.saving-abcd1234"
    (left / "new").mkdir(parents=True)
    assert make()["written"] == []
    assert not left.exists()


def test_makes_that_are_killed_leave_the_old_or_the_new_result(tmp_path):
    parts = [part("a"), part("bb")]
    found = killed_makes(tmp_path / "joined", parts, kills=3, seconds=1)
    assert sum(found.values()) == 3


def test_one_step_alone_with_those_that_it_needs(here):
    made = make("--step", "two", "--out", "mine")
    assert made["ran"] == ["two"]
    assert json.loads((here / "mine/manifest.json").read_text())["parts"][0]["classes"] == ["dog", "cat"]
    assert "did you mean two?" in refused(run("make", "recipe.yaml", "--step", "twoo"))


def test_the_recipe_travels_with_its_result_and_makes_it_again(here, monkeypatch):
    make()
    shown = run("recipe", "both")
    assert shown.code == 0, shown.err
    (here / "again.yaml").write_text(shown.out)
    made = make("--out", "other", name="again.yaml")
    assert (made["same"], made["differences"], made["ran"]) == (True, [], [])
    assert contents(here / "other") == contents(here / "both")


def test_what_differs_from_the_circumstances_of_a_recipe_is_said(here, world):
    make()
    plain = yaml.safe_load(run("recipe", "both").out)
    plain["made"]["versions"]["torch"] = "1.0"
    plain["made"]["result"] = "0" * 64
    write(plain, "other.yaml")
    made = run("make", "other.yaml", "--steps", "kept", "--out", "other")
    assert made.code == 0
    assert "note: the recipe was made otherwise: torch was 1.0, here it is" in said(made.err)
    assert "not the same part as the recipe's: torch was 1.0" in said(made.out)
    assert make("--out", "other", "--overwrite", name="other.yaml")["same"] is False


def test_a_part_that_commands_made_tells_its_recipe_and_is_made_again(here, world):
    ran = run("remove", world.both, "--classes", "bee", "--out", "rest")
    assert ran.code == 0, ran.err
    plain = yaml.safe_load(run("recipe", "rest").out)
    assert [(name, step["command"]) for name, step in plain["steps"].items()] == [
        ("one", "disassemble"),
        ("two", "disassemble"),
        ("both", "assemble"),
        ("part", "remove"),
    ]
    assert plain["steps"]["both"]["parts"] == ["one", "two"]
    made = make("--out", "again", name="rest")
    assert (made["same"], len(made["ran"])) == (True, 4)
    assert bytes_of(here / "again") == bytes_of(here / "rest")


def test_the_recipe_is_told_where_its_files_are_not(here, world):
    write_npz(here / "own.npz")
    assert run("finetune", world.one, "--data", "own.npz", "--epochs", "1", "--out", "tuned").code == 0
    (here / "own.npz").unlink()
    assert "data: own.npz" in run("recipe", "tuned").out
    ran = run("make", "tuned", "--out", "again", "--steps", "kept")
    assert (ran.code, "steps.part.data: 'own.npz' is no file and no folder" in said(ran.err)) == (1, True)


def test_parts_of_one_name_are_different_steps(here, world):
    for folder, source in (("a/mine", world.one), ("b/mine", world.two)):
        assert run("finetune", source, "--data", world.data, "--epochs", "1", "--out", folder).code == 0
    assert run("assemble", "a/mine", "b/mine", "--out", "joined").code == 0
    plain = yaml.safe_load(run("recipe", "joined").out)
    assert list(plain["steps"]) == ["one", "mine", "two", "mine-2", "part"]
    assert plain["steps"]["part"]["parts"] == ["mine", "mine-2"]
    assert make("--out", "again", name="joined")["same"] is True


def test_a_part_of_the_bin_has_its_recipe_and_stays_what_it_is_in_others(here, world, monkeypatch):
    monkeypatch.setenv("MODEL_LEGO_PARTS", str(here / "bin"))
    assert run("parts", "add", world.one).code == 0
    assert yaml.safe_load(run("recipe", "bin:one").out)["result"] == "part"
    assert run("assemble", "bin:one", world.two, "--out", "both").code == 0
    assert yaml.safe_load(run("recipe", "both").out)["steps"]["part"]["parts"] == ["bin:one", "two"]
    assert make("--out", "again", name="both")["same"] is True


def test_training_statistics_and_exports_are_steps(here, world):
    quick = {"epochs": 1, "seed": 3}
    write(
        {
            "common": {"data": str(world.data)},
            "steps": {
                "net": {"command": "train", **LENET, "random_crop": 0, "flip": False, **quick},
                "sums": {"command": "attribute", **LENET, "weights": "net"},
                "one": {
                    "command": "disassemble",
                    **LENET,
                    "weights": "net",
                    "stats": "sums",
                    "classes": "ant,bee",
                },
                "file": {"command": "export", "part": "one", "to": "files/one.safetensors"},
            },
        }
    )
    made = make()
    assert made["ran"] == ["net", "sums", "one", "file"]
    assert made["written"] == ["one", "files/one.safetensors"]
    assert make()["ran"] == []
    (here / "files/one.safetensors").write_bytes(b"mine")
    assert "one.safetensors' exists already" in refused(run("make", "recipe.yaml", "--steps", "kept"))
    assert make("--overwrite")["written"] == ["files/one.safetensors"]


def test_what_a_recipe_would_give_is_told_without_making_it(here, world):
    plain = recipe(world)
    plain["steps"]["one"] |= {"budget": {"macs": 0.5}, "paper": False}
    plain["steps"]["two"]["classes"] = ["bee", "dog"]
    plain["steps"]["far"] = {
        "command": "disassemble",
        "model": "torchvision:resnet18",
        "pretrained": True,
        "classes": "0",
    }
    write(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(here))
        ran = run("make", "recipe.yaml", "--steps", "kept", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    one, two, both, far = (step["gives"] for step in ran.json["steps"])
    assert (one["classes"], one["most"]) == (["ant", "bee"], True)
    assert one["cost"]["macs"] == two["cost"]["macs"] // 2
    assert both["classes"] == ["ant", "bee", "dog"]
    assert both["notes"] == [
        "class 'bee' clashes: one and two have it (which is refused; say on_clash: prefer or average)"
    ]
    assert far["cost"]["parameters"] == 11_689_512
    assert "of torchvision would be fetched" in far["notes"][0]
    assert sorted(path.name for path in here.iterdir()) == ["recipe.yaml"]
    shown = run("make", "recipe.yaml", "--steps", "kept", "--dry-run")
    assert "one, 'bee'" not in shown.out
    assert "to run" in shown.out


def test_code_of_ones_own_is_not_run_to_look_ahead(here, world):
    (here / "net.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    step = {"command": "disassemble", "model": "python:net.py:Net", "data": str(world.data), "classes": ["ant"]}
    write({"steps": {"one": step}})
    ran = run("make", "recipe.yaml", "--dry-run", "--steps", "kept")
    assert "one: its network is code of your own, which is not run for this" in said(ran.out)
    assert not (here / "ran").exists()


def test_a_class_that_is_not_there_is_told_by_the_plan(here, world):
    plain = recipe(world)
    plain["steps"]["one"]["classes"] = "antt"
    write(plain)
    ran = run("make", "recipe.yaml", "--dry-run", "--steps", "kept")
    assert "one: it would be refused: the source has no class 'antt'; did you mean ant?" in said(ran.out)


def test_a_step_that_fails_is_named_and_those_before_it_stay(here, world):
    plain = recipe(world)
    plain["steps"]["both"] |= {"layout": "padded", "scaling": "layer", "order": ["ant"]}
    write(plain)
    assert "step 'both' (assemble): " in refused_behind_steps(run("make", "recipe.yaml", "--steps", "kept", "--json"))
    write(recipe(world))
    assert make()["ran"] == ["both"]


def refused_behind_steps(ran):
    assert (ran.code, ran.out) == (1, "")
    return said(ran.err)


@pytest.mark.parametrize("folder", ["user's", "ours"])
def test_only_a_recipe_that_we_wrote_is_replaced(folder, here, world):
    make()
    if folder == "user's":
        (here / "both/recipe.yaml").write_text("steps: {}\n")
        assert "holds what its manifest.json does not name, 'recipe.yaml'" in refused(
            run("assemble", world.one, world.two, "--out", "both", "--overwrite")
        )
        assert (here / "both/recipe.yaml").read_text() == "steps: {}\n"
    else:
        assert run("assemble", world.one, world.two, "--out", "both", "--overwrite").code == 0


def test_a_part_without_a_recipe_says_why(here, world):
    from model_lego import load, save

    save(load(world.one), here / "plain")
    assert "'plain' has no recipe.yaml: commands that make a part write one beside it" in refused(
        run("recipe", "plain")
    )
    assert "'nothing' is no folder of a saved part" in refused(run("recipe", "nothing"))
    assert "give a PART, or --schema" in refused(run("recipe"))
    assert "the recipe 'nothing.yaml' cannot be read: No such file" in refused(run("make", "nothing.yaml"))

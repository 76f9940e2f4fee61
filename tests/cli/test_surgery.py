"""remove, add and replace; parts of several sizes, and "none of these", from the command to the evaluation."""

import re
from pathlib import Path

import pytest
import torch

from tests.support.squares import contents, pictures, refused, run, said, trained, write_weights


@pytest.fixture(scope="module")
def parts(world, tmp_path_factory):
    """Folders: the whole network as a component, an assembly of one part, a component of dog of larger images."""
    folder = tmp_path_factory.mktemp("parts")
    large = write_weights(trained(seed=2, side=20), folder / "large.safetensors")
    network = ("zoo:lenet5", "-a", "image_size=20", "-a", "width=0.5", "--weights", large, "--data", world.data)
    for command in (
        ["disassemble", "--paper", *world.source(), "--classes", "0-3", "--out", folder / "all"],
        ["assemble", world.one, "--data", world.data, "--outsiders", "0.1", "--out", folder / "open"],
        ["disassemble", "--paper", *network, "--size", "20", "--mean", "0.3", "--std", "0.2", "--classes", "dog,cat",
         "--out", folder / "large"],
    ):  # fmt: skip
        ran = run(*command)
        assert ran.code == 0, ran.err
    return folder


def accuracy(folder, world) -> float:
    ran = run("evaluate", folder, "--data", world.data, "--json")
    assert ran.code == 0, ran.err
    return ran.json["rows"][0]["accuracy"]


def test_a_class_is_taken_out_of_a_component(world, parts, tmp_path):
    ran = run("remove", parts / "all", "--classes", "cat", "--data", world.data, "--out", tmp_path / "rest", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["ant", "bee", "dog"]
    assert ran.json["settings"]["repair"]["images"] == 72
    assert accuracy(tmp_path / "rest", world) > 90
    ran = run("remove", parts / "all", "--classes", "2", "--out", tmp_path / "bare")
    assert ran.code == 0, ran.err
    assert said(ran.out).startswith("Component(ant, bee, dog; ")
    assert "come from --data" in said(ran.err)


def test_a_class_is_taken_out_of_a_network(world, tmp_path):
    ran = run("remove", *world.source(), "--classes", "ant,cat", "--out", tmp_path / "rest", "--per-class", "5")
    assert ran.code == 0, ran.err
    assert said(ran.out).startswith("Component(bee, dog; ")
    assert accuracy(tmp_path / "rest", world) > 90
    without = [word for word in world.source() if word not in ("--data", str(world.data))]
    assert "give --data" in refused(run("remove", *without, "--classes", "ant", "--out", tmp_path / "no"))


def test_a_class_is_taken_out_of_an_assembly(world, tmp_path):
    given = ("remove", world.both, "--classes", "dog,cat", "--out", tmp_path / "rest")
    ran = run(*given, "--data", world.data, "--calibration-per-class", "10", "--head", "affine")
    assert ran.code == 0, ran.err
    assert "cross-validated on 20 calibration images" in said(ran.out)
    assert accuracy(tmp_path / "rest", world) > 90
    assert "no class of the assembly would be left" in refused(
        run("remove", world.both, "--classes", "0-3", "--out", tmp_path / "no")
    )


def test_a_component_is_added(world, parts, tmp_path):
    more = ("--data", world.data, "--head", "affine", "--out", tmp_path / "more")  # a head that can be carried over
    ran = run("add", world.one, parts / "large", *more)
    assert ran.code == 0, ran.err
    assert accuracy(tmp_path / "more", world) > 90
    ran = run("add", tmp_path / "more", world.two, "--out", tmp_path / "no")
    assert "class 'dog'" in refused(ran)
    ran = run("add", tmp_path / "more", world.two, "--on-clash", "average", "--data", world.data, "--head", "concat",
              "--out", tmp_path / "twice", "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["ant", "bee", "dog", "cat"]
    ran = run("add", parts / "open", world.two, "--out", tmp_path / "fitted")
    if ran.code:  # its head reads features
        assert "give calibration images of all classes" in refused(ran)


def test_a_part_is_exchanged(world, parts, tmp_path):
    ran = run("replace", world.both, "dog", parts / "large", "--data", world.data, "--out", tmp_path / "other")
    assert ran.code == 0, ran.err
    assert accuracy(tmp_path / "other", world) > 90
    other = run("replace", world.both, "2", parts / "large", "--data", world.data, "--out", tmp_path / "same")
    assert other.out == ran.out
    for number in ("0", "3"):
        ran = run("replace", world.both, number, world.two, "--out", tmp_path / "no")
        assert f"there is no part {number}; the assembly has 2, counted from 1" in refused(ran)
    assert "holds a component" in refused(run("replace", world.one, "0", world.two, "--out", tmp_path / "no"))


def test_parts_count_from_1_wherever_they_are_told(world, parts, tmp_path):
    card = (world.both / "README.md").read_text(encoding="utf-8")
    assert [line for line in card.splitlines() if line.startswith("## Part")] == ["## Part 1", "## Part 2"]
    first, second = (
        run(command, world.both, *data).out for command, data in (("inspect", ()), ("evaluate", ("--data", world.data)))
    )
    assert "part 1 for ant, bee" in first
    assert re.search(r"^1 \(ant, bee\)", second, re.MULTILINE)
    given = ("--data", world.data, "--head", "affine", "--out")
    assert run("replace", world.both, "1", world.one, *given, tmp_path / "by number").code == 0
    assert run("replace", world.both, "ant", world.one, *given, tmp_path / "by class").code == 0
    one, other = (contents(tmp_path / name) for name in ("by number", "by class"))
    told = Path("recipe.yaml")  # which says what was asked for
    assert {**one, told: b""} == {**other, told: b""}


def test_parts_of_several_sizes_take_the_same_images(world, parts, tmp_path):
    from model_lego import load

    ran = run("assemble", parts / "large", world.one, "--data", world.data, "--out", tmp_path / "both")
    assert ran.code == 0, ran.err
    assert accuracy(tmp_path / "both", world) > 90
    joint = load(tmp_path / "both")
    assert [part.preprocessing.size for part in joint.parts] == [(20, 20), None]
    images = pictures(4, seed=5)[0][:, None].float() / 255
    large, small = (load(folder) for folder in (parts / "large", world.one))
    with torch.no_grad():
        assert torch.equal(joint.joined(images), torch.cat([large(images), small(images)], 1))
    given = ("--layout", "padded", "--out", tmp_path / "dense")
    assert "normalise images differently" in refused(run("assemble", parts / "large", world.one, *given))


def test_images_of_other_classes_are_none_of_these(world, parts):
    ran = run("evaluate", parts / "open", "--data", world.data, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["ant", "bee", "none of these"]
    assert ran.json["rows"][0]["samples"] == 40
    assert ran.json["outsiders"]["auroc"] > 0.6


def test_unite_says_how_many_parameters_are_new_and_why(world, tmp_path):
    for name in ("ant", "dog"):
        command = ("disassemble", *world.source(), "--classes", name, "--budget", "params=0.1", "--repair", "none")
        assert run(*command, "--out", tmp_path / name).code == 0
    parts = (tmp_path / "ant", tmp_path / "dog")
    ran = run("unite", *parts, "--out", tmp_path / "pair")
    assert ran.code == 0, ran.err
    found = re.search(
        r"the parts had ([\d,]+) parameters; ([\d,]+) of them are shared, and there once; ([\d,]+) are new, between "
        r"channels that no part has together; they are zero: with --source and --data",
        said(ran.out),
    )
    apart, shared, crossing = (int(number.replace(",", "")) for number in found.groups())
    told = run("unite", *parts, "--out", tmp_path / "again", "--json").json
    assert (told["apart"], told["shared"], told["crossing"]) == (apart, shared, crossing)
    assert told["parameters"] == apart - shared + crossing
    assert crossing > 0
    ran = run("unite", *parts, "--source", *world.source(), "--out", tmp_path / "anew")
    assert "are new, between channels that no part has together" in said(ran.out)
    assert "they are zero" not in said(ran.out)
    assert "united from 2 components of the source" in said(run("inspect", tmp_path / "anew").out)
    assert f"{crossing:,} parameters are new, between channels" in said(run("inspect", tmp_path / "pair").out)


def test_parts_of_one_source_are_pointed_to_unite(world, tmp_path):
    for number, name in enumerate(("ant", "dog")):
        ran = run("disassemble", "--paper", *world.source(), "--classes", name, "--out", tmp_path / str(number))
        assert ran.code == 0, ran.err
    ran = run("assemble", tmp_path / "0", tmp_path / "1", "--out", tmp_path / "both")
    assert "note: parts 1 and 2 are of one source: `model-lego unite` puts them together" in said(ran.err)
    assert "Note: parts 1 and 2 are of one source" in (tmp_path / "both" / "README.md").read_text(encoding="utf-8")
    assert "note:" not in run("assemble", world.one, world.two, "--out", tmp_path / "two").err

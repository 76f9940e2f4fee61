"""Classes of an assembly in an order and in groups, and assemblies as parts, on the command line."""

import json

import pytest
import torch

import model_lego as ml
from tests.support.squares import NETWORK, run, said


@pytest.fixture(scope="module")
def grouped(world, tmp_path_factory):
    """Pets and insects of four animals, fitted to images of the animals."""
    folder = tmp_path_factory.mktemp("groups") / "grouped"
    ran = run(
        *("assemble", world.one, world.two, "--data", world.data, "--out", folder),
        *("--group", "pet=dog,cat", "--group", "insect=ant", "--group", "insect=bee", "--order", "pet,insect"),
    )
    assert ran.code == 0, ran.err
    return folder


def test_groups_and_order_are_saved_and_told(grouped):
    part = ml.load(grouped)
    assert part.classes == ("pet", "insect")
    assert part.groups == {"pet": ("dog", "cat"), "insect": ("ant", "bee")}
    assert "Class pet is any of dog, cat." in (grouped / "README.md").read_text(encoding="utf-8")
    shown = run("inspect", grouped).out
    assert "group insect" in shown
    assert json.loads(run("inspect", grouped, "--json").out)["assembly"]["groups"]["pet"] == ["dog", "cat"]


def test_images_of_the_members_are_measured_as_the_group(grouped, world, tmp_path):
    report = json.loads(run("evaluate", grouped, "--data", world.data, "--json").out)
    assert report["classes"] == ["pet", "insect"]
    assert report["rows"][0]["accuracy"] > 80
    ran = run("report", grouped, "--data", world.data, "--html", tmp_path / "page.html")
    assert ran.code == 0, ran.err
    assert "group pet" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("more", [[], ["--alone"]])
def test_a_student_learns_groups_from_images_of_their_members(more, grouped, world, tmp_path):
    given = ["--data", world.data, "--epochs", "1", "--out", tmp_path / "student", "--json", *more]
    ran = run("distill", grouped, *NETWORK, *given)
    assert ran.code == 0, ran.err
    assert ml.load(tmp_path / "student").classes == ("pet", "insect")
    assert ran.json["counts"] == [20, 20]


def test_a_group_goes_as_one(grouped, world, tmp_path):
    ran = run("remove", grouped, "--classes", "pet", "--data", world.data, "--out", tmp_path / "rest")
    assert ran.code == 0, ran.err
    assert ml.load(tmp_path / "rest").classes == ("insect",)


def test_one_component_alone_has_groups(world, tmp_path):
    ran = run("assemble", world.one, "--group", "insect=ant,bee", "--out", tmp_path / "one")
    assert ran.code == 0, ran.err
    assert ml.load(tmp_path / "one").classes == ("insect",)


def test_an_assembly_is_a_part(grouped, world, tmp_path):
    alone = run("assemble", world.two, "--order", "cat,dog", "--out", tmp_path / "ordered")
    assert alone.code == 0, alone.err
    nested = run("assemble", tmp_path / "ordered", world.one, "--data", world.data, "--out", tmp_path / "nested")
    assert nested.code == 0, nested.err
    part = ml.load(tmp_path / "nested")
    assert part.classes == ("cat", "dog", "ant", "bee")
    image = torch.ones(1, *part.parts[1].origin.input_shape)
    assert torch.equal(part.parts[0](image), ml.load(tmp_path / "ordered")(image))
    measured = json.loads(run("evaluate", tmp_path / "nested", "--data", world.data, "--json").out)
    assert [one["classes"] for one in measured["parts"]] == [["cat", "dog"], ["ant", "bee"]]
    assert "part 1.1" in run("inspect", tmp_path / "nested").out
    page = run("report", tmp_path / "nested", "--data", world.data, "--html", tmp_path / "page.html")
    assert page.code == 0, page.err
    less = run("remove", tmp_path / "nested", "--classes", "cat", "--out", tmp_path / "less")
    assert less.code == 0, less.err
    more = run("add", tmp_path / "less", grouped, "--out", tmp_path / "more")
    assert more.code == 0, more.err
    assert ml.load(tmp_path / "more").classes == ("dog", "ant", "bee", "pet", "insect")


def test_what_is_left_out_of_a_part_is_advised_in_options(world, tmp_path):
    data = ["--data", world.data]
    assert run("assemble", world.both, *data, "--outsiders", "0.1", "--out", tmp_path / "inner").code == 0
    ran = run("assemble", tmp_path / "inner", *data, "--out", tmp_path / "outer")
    assert "'none of these' of part 1 is left out: --outsiders gives the whole one of its own" in said(ran.err)
    assert "--outsiders gives the whole one" in said(run("inspect", tmp_path / "outer").out)

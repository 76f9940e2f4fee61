"""Classes as they are written on a command line: whole names first, several options, the data's and a part's alike."""

import numpy as np
import pytest

from tests.support.squares import refused, run, write_npz

ODD = ("0-2", "3-9", "tench, Tinca tinca", "7")


@pytest.fixture
def odd(tmp_path):
    """The data with names that look like ranges, lists and numbers."""
    return write_npz(tmp_path / "odd.npz", class_names=np.array(ODD))


def planned(world, data, *classes):
    """The classes of a plan."""
    given = [word for text in classes for word in ("--classes", text)]
    ran = run("plan", "--paper", *world.source(data=data), *given, "--json")
    assert ran.code == 0, ran.err
    return ran.json["classes"]


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (["0-2"], ["0-2"]),
        (["3-9,7"], ["3-9", "7"]),
        (["tench, Tinca tinca"], ["tench, Tinca tinca"]),
        (["7,tench, Tinca tinca,0-2"], ["7", "tench, Tinca tinca", "0-2"]),
        (['"tench, Tinca tinca",1'], ["tench, Tinca tinca", "3-9"]),
        (["7", "0-2"], ["7", "0-2"]),
        (["0-1"], ["0-2", "3-9"]),
    ],
)
def test_a_plan_is_for_the_classes_that_are_meant(world, odd, classes, names):
    assert planned(world, odd, *classes) == names


@pytest.mark.parametrize("option", ["--classes", "-c"])
def test_classes_given_twice_are_both_taken(world, option):
    ran = run("plan", "--paper", *world.source(), option, "ant", option, "cat", "--json")
    assert ran.json["classes"] == ["ant", "cat"]
    words = refused(run("plan", *world.source(), option, "ant", option, "0"))
    assert "named twice: 'ant'" in words


def test_every_command_reads_them_alike(world, odd, tmp_path):
    source = [*world.source(data=odd), "--classes", "tench, Tinca tinca", "--classes", "0-2"]
    ran = run("attribute", *source, "--out", tmp_path / "statistics", "--json")
    assert list(ran.json["samples"]) == ["0-2", "tench, Tinca tinca"]
    ran = run("routes", *source, "--json")
    assert ran.json["names"] == ["tench, Tinca tinca", "0-2"]
    ran = run(
        "disassemble", "--paper", *source, "--classes", "7", "--repair", "none", "--out", tmp_path / "part", "--json"
    )
    assert ran.json["classes"] == ["tench, Tinca tinca", "0-2", "7"]
    ran = run("remove", tmp_path / "part", "--classes", "0-2", "--classes", "7", "--out", tmp_path / "less", "--json")
    assert ran.json["classes"] == ["tench, Tinca tinca"]


def test_the_classes_of_a_network_are_read_alike(world, odd, tmp_path):
    given = ["--source-classes", "3-9,0-2", "--source-classes", "tench, Tinca tinca,7"]
    ran = run("plan", "--paper", *world.source(data=odd), *given, "--classes", "0-2", "--json")
    assert ran.json["classes"] == ["0-2"]
    words = refused(
        run("plan", "--paper", *world.source(data=odd), "--source-classes", "3-9,0-2,7,tenhc", "--classes", "7")
    )
    assert "'tench, Tinca tinca' is no class of the network (near: tenhc)" in words


def test_training_reads_them_alike(odd, tmp_path):
    given = ["--classes", "tench, Tinca tinca", "--classes", "0-2", "--epochs", "1", "--random-crop", "0", "--no-flip"]
    ran = run("train", "zoo:lenet5", "-a", "image_size=16", "-d", odd, *given, "--out", tmp_path / "net", "--json")
    assert ran.json["classes"] == ["tench, Tinca tinca", "0-2"], ran.err

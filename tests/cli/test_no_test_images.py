"""Data whose every image is learned from: what measures says so before any work, what does not measure goes on."""

import pytest
from PIL import Image

from tests.support.squares import CLASSES, NETWORK, pictures, run, said


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A photo of each class, in folders without parts: none of them is measured."""
    root = tmp_path_factory.mktemp("single") / "photos"
    for image, label in zip(*pictures(1, seed=0), strict=True):
        (root / CLASSES[label]).mkdir(parents=True)
        Image.fromarray(image.numpy()).save(root / CLASSES[label] / "only.png")
    return root


def measuring(world, data):
    return {
        "disassemble": [*world.source(data=data), "--classes", "ant,bee"],
        "compress": [*world.source(data=data), "--budget", "macs=0.8"],
        "evaluate": [world.one, "--data", data],
        "evaluate, source": [world.one, "--source", *world.source(data=data), "--source-classes", "ant,bee,cat,dog"],
        "finetune": [world.one, "--data", data, "--epochs", "1"],
        "distill": [world.both, *NETWORK, "--data", data, "--epochs", "1", "--alone"],
        "report": [world.one, "--data", data],
        "train": [*NETWORK, "--data", data, "--epochs", "1"],
    }


STEPS = ("disassemble", "compress", "evaluate", "evaluate, source", "finetune", "distill", "report", "train")


@pytest.mark.parametrize("step", STEPS)
def test_what_measures_says_that_there_is_no_test_image(step, world, single, tmp_path):
    out = {"evaluate": [], "evaluate, source": [], "report": ["--html", tmp_path / "page.html"]}
    ran = run(step.partition(",")[0], *measuring(world, single)[step], *out.get(step, ["--out", tmp_path / "out"]))
    assert ran.code == 1
    last = ran.err.splitlines()[-1]
    assert last.startswith(f"error: '{single}' has no test image of ant, bee")
    assert "give it some (in test/CLASS, or rows of split test), or where it has no such part at least two" in last
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("plan", ["--classes", "ant"]),
        ("attribute", ["--out", "stats"]),
        ("remove", ["--classes", "ant", "--out", "rest"]),
        ("routes", ["--html", "page.html"]),
    ],
)
def test_what_only_learns_goes_on(command, more, world, single, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run(command, *world.source(data=single), *more)
    assert ran.code == 0, ran.err
    assert ("the data has no test images, of which the page would show" in said(ran.err)) == (command == "routes")


def test_no_number_names_a_test_image(world, single):
    ran = run("routes", *world.source(data=single), "--image", "0")
    last = "error: --image 0 is not one: the data has no test images; a file of that name is ./0"
    assert (ran.code, ran.err.splitlines()[-1]) == (1, last)


def test_a_class_whose_test_folder_is_empty(world, single, tmp_path):
    for name in ("train/ant", "train/bee", "test/ant", "test/bee"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("L", (16, 16)).save(tmp_path / name / "1.png")
    (tmp_path / "test" / "ant" / "1.png").unlink()
    more = ("--source-classes", "ant,bee,cat,dog", "--classes", "ant", "--out", tmp_path / "one")
    ran = run("disassemble", *world.source(data=tmp_path), *more)
    assert (ran.code, f"error: '{tmp_path}' has no test image of ant," in ran.err) == (1, True)

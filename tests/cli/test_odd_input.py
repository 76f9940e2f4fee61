"""Input that is rarer than that of test_bad_input: image folders, files with odd contents, numbers at their ends."""

import re
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from tests.support.squares import CLASSES, NETWORK, arrays, pictures, refused, run, said, trained, write_npz

ALL = arrays()


@pytest.fixture
def folder(tmp_path):
    """The data set as folders of PNG files."""
    for part, count, seed in (("train", 24, 0), ("test", 10, 1)):
        for number, (image, label) in enumerate(zip(*pictures(count, seed=seed), strict=True)):
            path = tmp_path / "folder" / part / CLASSES[label] / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).save(path)
    return tmp_path / "folder"


def test_an_image_folder_is_worth_the_same_as_the_npz_file(world, folder):
    given = ("--classes", "bee,dog", "--json")
    from_folder, from_file = run("plan", *world.source(data=folder), *given), run("plan", *world.source(), *given)
    assert (from_folder.code, from_folder.err) == (0, "")
    assert from_folder.json == from_file.json


def plans_alike(world, folder, other):
    """Whether the plans from two folders are the same, and what was said of the first."""
    plans = [run("plan", *world.source(data=data), "--classes", "ant,bee", "--json") for data in (folder, other)]
    assert (plans[0].code, plans[0].json, plans[1].err) == (0, plans[1].json, "")
    return said(plans[0].err)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train/bee/999.png", "unreadable 1: train/bee/999.png (it holds no picture)"),
        ("train/.ipynb_checkpoints/001.png", "hidden 1: train/.ipynb_checkpoints"),
        ("train/ant/old/001.png", "sub-folders 1: train/ant/old"),
        ("test/dog/about.txt", "another suffix 1: test/dog/about.txt"),
    ],
)
def test_what_is_left_out_of_an_image_folder_is_said_in_one_line(world, folder, tmp_path, name, line):
    shutil.copytree(folder, tmp_path / "tidy")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"rubbish")
    assert plans_alike(world, folder, tmp_path / "tidy") == f"note: left out of '{folder}': {line}"


def test_classes_alone_are_divided_and_that_is_said(world, folder):
    ran = run("plan", *world.source(data=folder / "train"), "--classes", "ant,bee", "--json")
    assert (ran.code, ran.json["classes"]) == (0, ["ant", "bee"])
    assert said(ran.err).startswith(f"note: '{folder / 'train'}' has no parts train/ and test/: of each class a fifth")
    assert said(ran.err).endswith("is measured (20 of 96), and the others are learned from")


def test_folders_that_are_numbers_come_by_number_and_that_is_said(world, folder):
    for part in ("train", "test"):
        for name, number in zip(CLASSES, ("1", "2", "10", "11"), strict=True):
            (folder / part / name).rename(folder / part / number)
    ran = run("plan", *world.source(data=folder), "--classes", "1,10", "--json")
    assert "are numbers and come by number (1, 2, 10, 11), not by name (1, 10, 11, 2)" in said(ran.err)
    assert ran.json["layers"] == run("plan", *world.source(), "--classes", "ant,cat", "--json").json["layers"]


def test_a_class_that_only_the_test_images_have(world, folder):
    (folder / "test" / "cow").mkdir()
    assert "has class 'cow'" in refused(run("plan", *world.source(data=folder), "--classes", "ant"))


def test_a_folder_without_its_parts(world, tmp_path):
    assert "train/CLASS" in refused(run("plan", *world.source(data=tmp_path), "--classes", "ant"))


@pytest.fixture
def uneven(folder):
    """An image folder with one picture of another size."""
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "train" / "ant" / "000.png")
    return folder


def test_pictures_of_different_sizes(world, uneven):
    words = refused(run("plan", *world.source(data=uneven), "--classes", "ant"))
    assert "different sizes [(1, 9, 9), (1, 16, 16)]" in words
    assert "bring them to one size" in words


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_without_any_image(world, tmp_path, part):
    data = write_npz(tmp_path / "none.npz", **{key: ALL[key][:0] for key in (f"x_{part}", f"y_{part}")})
    refused(run("disassemble", *world.source(data=data), "--classes", "ant", "--out", tmp_path / "part"))


def test_float_images_that_are_not_in_0_to_1(world, tmp_path):
    data = write_npz(tmp_path / "bright.npz", x_train=ALL["x_train"].astype(np.float32))
    assert "0..1" in refused(run("plan", *world.source(data=data), "--classes", "ant"))


def test_float_images_are_worth_the_same_as_bytes(world, tmp_path):
    floats = {key: (ALL[key] / 255).astype(np.float32) for key in ("x_train", "x_test")}
    data = write_npz(tmp_path / "floats.npz", **floats)
    given = ("--classes", "ant", "--json")
    assert run("plan", *world.source(data=data), *given).out == run("plan", *world.source(), *given).out


def test_a_class_without_test_samples_has_no_accuracy_but_null(world, tmp_path):
    data = write_npz(tmp_path / "no-bee.npz", **{key: ALL[key][ALL["y_test"] != 1] for key in ("x_test", "y_test")})
    ran = run("disassemble", *world.source(data=data), "--classes", "ant,bee", "--out", tmp_path / "part", "--json")
    assert ran.json["counts"] == [10, 0]
    assert ran.json["rows"][0]["per_class"][1] is None


def test_a_checkpoint_that_holds_a_state_dict_is_one(world, tmp_path):
    torch.save({"state_dict": trained(seed=0).state_dict(), "epoch": 3}, tmp_path / "checkpoint.pt")
    given = ("--classes", "ant", "--json")
    ran = run("plan", *world.source(tmp_path / "checkpoint.pt"), *given)
    assert (ran.code, ran.out) == (0, run("plan", *world.source(), *given).out)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list, not a state dict"),
        ({"weight": 3}, "not a state dict"),
        ({"weight": torch.tensor(1)}, "does not fit LeNet5: it is of another network"),
    ],
    ids=["list", "numbers", "scalar"],
)
def test_weights_files_without_the_weights(world, tmp_path, content, words):
    torch.save(content, tmp_path / "odd.pt")
    assert words in refused(run("plan", *world.source(tmp_path / "odd.pt"), "--classes", "ant"))


def test_weights_without_a_tensor(world, tmp_path):
    safetensors.torch.save_file({}, tmp_path / "none.safetensors")
    assert "holds a dict, not a state dict of tensors" in refused(
        run("plan", *world.source(tmp_path / "none.safetensors"), "--classes", "ant")
    )


def _changed(file, change):
    """The data set with its images and labels changed."""
    parts = {part: change(ALL[f"x_{part}"], ALL[f"y_{part}"]) for part in ("train", "test")}
    return write_npz(file, **{f"{which}_{part}": parts[part]["xy".index(which)] for part in parts for which in "xy"})


def test_a_class_of_a_part_without_images_is_measured_by_none_and_calibrates_nothing(world, tmp_path):
    lacking = _changed(tmp_path / "no-bee.npz", lambda x, y: (x[y != 1], y[y != 1]))
    ran = run("evaluate", world.one, "--data", lacking, "--json")
    assert ran.json["counts"] == [10, 0]
    words = refused(run("assemble", world.one, world.two, "--data", lacking, "--out", tmp_path / "both"))
    assert "there is no image of class 'bee'" in words


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("wide", r"shape \(1, 12, 12\), but the network takes \(1, 16, 16\)"),
        ("colour", r"shape \(3, 16, 16\), but the network takes \(1, 16, 16\)"),
        ("nan", "contains NaN"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "assemble"])
def test_images_that_a_saved_part_does_not_take(world, tmp_path, command, data, words):
    change = {
        "wide": lambda x, y: (x[:, :12, :12], y),
        "colour": lambda x, y: (np.repeat(x[..., None], 3, axis=3), y),
        "nan": lambda x, y: (np.full(x.shape, np.nan, np.float32), y),
    }[data]
    odd = _changed(tmp_path / "odd.npz", change)
    parts = (world.one,) if command == "evaluate" else (world.one, world.two, "--out", tmp_path / "both")
    assert re.search(words, refused(run(command, *parts, "--data", odd)))
    assert [path.name for path in tmp_path.iterdir()] == ["odd.npz"]


def test_the_source_of_another_component_is_no_baseline(world):
    ran = run("evaluate", world.one, "--source", *world.source(world.others))
    assert "is not the one that this component was cut from" in refused(ran)


@pytest.mark.parametrize(
    "count",
    [
        "0",
        "-1",
    ],
)
def test_a_number_of_calibration_images_that_makes_no_sense(world, tmp_path, count):
    given = ("--data", world.data, "--calibration-per-class", count, "--out", tmp_path / "both")
    refused(run("assemble", world.one, world.two, *given))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--std", "0", "--mean", "0"), "standard deviation that is not positive"),
        (("--mean", "0,0,0", "--std", "1,1,1"), "have shape (1, 16, 16), but the preprocessing has 3 means"),
        (("--size", "20"), "does not run on images of shape (1, 20, 20)"),
        (("--alpha", "nan"), "between 0 and 1"),
        (("--batch-size", "-1"), "at least 1"),
        (("-a", "width='wide'"), "zoo:lenet5 cannot be built"),
        (("-a", "num_classes=0"), "build the network with num_classes=4"),
        (("--size", "0"), "size"),
        (("--seed", str(2**70)), "seed"),
        (("-a", "image_size=2"), "cannot be built"),
        (("-a", "in_channels=0"), "cannot be built"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, tuple) else "",
)
def test_numbers_at_their_ends(world, options, words):
    assert words in refused(run("plan", *world.source(), "--classes", "ant", *options))


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("0-99", "no class '4'"),
        ("0-", "no class '0-'"),
        ("²", "no class '²'"),
        ("3-0", "3-0"),
        ("0,3-2", "3-2"),
    ],
)
def test_classes_written_oddly(world, classes, words):
    assert words in refused(run("plan", *world.source(), "--classes", classes))


def test_a_refusal_advises_only_options_that_there_are(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ("--weights", world.weights, "--data", "torchvision:CIFAR10", "--classes", "0")
    advised = set(re.findall(r"--[a-z-]+", refused(run("plan", *NETWORK, *given))))
    assert advised <= set(re.findall(r"--[a-z-]+", run("plan", "--help").out))


def test_a_note_calls_a_class_by_its_name(world, tmp_path):
    data = write_npz(tmp_path / "turned.npz", y_train=(ALL["y_train"] + 1) % 4)
    assert "ant" in run("plan", "--paper", *world.source(data=data), "--classes", "ant", "--json").err

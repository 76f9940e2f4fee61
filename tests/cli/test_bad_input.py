"""Bad input of every kind: exit code 1, one sentence on stderr that says what is wrong, and nothing is written."""

import re
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.squares import NETWORK, arrays, contents, refused, run, trained, write_npz, write_weights

ALL = arrays()


def without(number, part):
    """The arrays of a part without the samples of one class."""
    keep = ALL[f"y_{part}"] != number
    return {f"x_{part}": ALL[f"x_{part}"][keep], f"y_{part}": ALL[f"y_{part}"][keep]}


def spoiled(value):
    """Training images as floats, one pixel of which is `value`."""
    x = (ALL["x_train"] / 255).astype(np.float32)
    x[5, 3, 3] = value
    return x


def mislabelled(value):
    y = ALL["y_train"].copy()
    y[7] = value
    return y


def take(world, out, *more, classes="ant,bee", weights=None, data=None):
    """Run disassemble and check that a refusal leaves nothing behind; gives what it says."""
    ran = run("disassemble", *world.source(weights, data), "--classes", classes, "--out", out / "part", *more)
    assert not (out / "part").exists()
    assert [path for path in out.iterdir() if path.is_dir()] == []
    return refused(ran)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("ant,bea", "no class 'bea'; did you mean bee?"),
        ("ant,zebra fish", "no class 'zebra fish'; it has ant, bee, cat, dog"),
        ("0,4", "no class '4'"),
        ("ant,0", "named twice"),
        (" , ", "no class is named"),
    ],
)
def test_classes_that_are_not_there(world, tmp_path, classes, words):
    assert words in take(world, tmp_path, classes=classes)


@pytest.mark.parametrize("command", ["plan", "disassemble"])
def test_a_class_without_samples(world, tmp_path, command):
    data = write_npz(tmp_path / "no-bee.npz", **without(1, "train"))
    out = ("--out", tmp_path / "part") if command == "disassemble" else ()
    assert "has no sample" in refused(run(command, *world.source(data=data), "--classes", "ant,bee", *out))
    assert [path.name for path in tmp_path.iterdir()] == ["no-bee.npz"]


def test_a_class_without_samples_is_called_by_its_name(world, tmp_path):
    data = write_npz(tmp_path / "no-bee.npz", **without(1, "train"))
    assert "bee" in take(world, tmp_path, data=data)


def colour(x):
    return np.repeat(x[..., None], 3, axis=3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:, :12, :12], r"images of shape \(1, 12, 12\)"),
        (colour, r"images of shape \(3, 16, 16\)"),
        (lambda x: x.reshape(len(x), -1), r"shape \(96, 256\).* has to be N x H x W x C"),
        (lambda x: x.astype(np.int32), "is int32 from 0 to [12].*; images have to be uint8"),
    ],
    ids=["size", "channels", "flat", "type"],
)
def test_images_that_the_network_does_not_take(world, tmp_path, change, words):
    data = write_npz(tmp_path / "odd.npz", x_train=change(ALL["x_train"]), x_test=change(ALL["x_test"]))
    assert re.search(words, take(world, tmp_path, data=data))


def test_test_images_of_another_shape_than_the_training_images(world, tmp_path):
    data = write_npz(tmp_path / "odd.npz", x_test=ALL["x_test"][:, :12, :12])
    assert "(1, 12, 12)" in take(world, tmp_path, data=data)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_with_nan_or_infinity(world, tmp_path, value):
    data = write_npz(tmp_path / "nan.npz", x_train=spoiled(value))
    assert "x_train of" in (words := take(world, tmp_path, data=data))
    assert "contains NaN or infinite values" in words


@pytest.mark.parametrize("value", [4, -1])
def test_labels_out_of_range(world, tmp_path, value):
    data = write_npz(tmp_path / "labels.npz", y_train=mislabelled(value))
    assert "labels y_train of" in (words := take(world, tmp_path, data=data))
    assert f"out of range: {min(value, 0)} to {max(value, 3)}, but there are 4 class names" in words


def test_labels_that_are_no_integers(world, tmp_path):
    data = write_npz(tmp_path / "labels.npz", y_train=ALL["y_train"].astype(np.float32))
    assert "labels have to be integers" in take(world, tmp_path, data=data)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zoo:lenet6", "'zoo:lenet6' is unknown; did you mean lenet5 or"),
        ("torchvision:resnet81", "did you mean resnet18"),
        ("lenet5", "timm:NAME, hf:ORG/NAME, hf:FOLDER or python:FILE.py:CALLABLE"),
        ("zoo:", "names no network"),
    ],
)
def test_networks_that_are_not_there(world, tmp_path, name, words):
    given = ("--weights", world.weights, "--data", world.data, "--classes", "ant", "--out", tmp_path / "part")
    assert words in refused(run("disassemble", name, *given))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "words"),
    [("widht=2", "widht"), ("width", "no key=value"), ("pretrained=True", "would fetch weights")],
)
def test_arguments_that_the_builder_does_not_take(world, tmp_path, argument, words):
    assert words in take(world, tmp_path, "-a", argument)


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickled_module_is_not_read(world, tmp_path):
    torch.save(trained(seed=0), tmp_path / "whole.pt")
    words = take(world, tmp_path, weights=tmp_path / "whole.pt")
    assert "is a pickle of a whole module: reading it would run 'model_lego.models.lenet.LeNet5'" in words
    assert "save torch.load(FILE, weights_only=False).state_dict() instead" in words


def test_no_code_of_a_weights_file_is_run(world, tmp_path):
    torch.save({"weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
    assert "reading it would run 'io.open'" in take(world, tmp_path, weights=tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 4)), "does not fit LeNet5: it is of another network"),
        (lambda: nn.Sequential(*trained(seed=0).children()), "does not fit LeNet5"),
    ],
)
def test_weights_of_another_network(world, tmp_path, make, words):
    assert words in take(world, tmp_path, weights=write_weights(make(), tmp_path / "other.safetensors"))


def test_weights_of_another_width(world, tmp_path):
    words = take(world, tmp_path, "-a", "width=1.0")
    assert "does not fit LeNet5" in words
    assert "has shape (60,), the network's (120,)" in words


@pytest.mark.parametrize("name", ["nothing.safetensors", "nothing.pt"])
def test_a_missing_weights_file(world, tmp_path, name):
    assert "does not exist" in take(world, tmp_path, weights=tmp_path / name)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_weights_file_of_rubbish(world, tmp_path, name):
    (tmp_path / name).write_bytes(b"these are no tensors at all")
    assert "neither safetensors nor a state dict" in take(world, tmp_path, weights=tmp_path / name)


def test_weights_with_nan(world, tmp_path):
    model = trained(seed=0)
    model.classifier[0].weight.data[3, 4] = float("nan")
    weights = write_weights(model, tmp_path / "nan.safetensors")
    assert "'classifier.0.weight'" in (words := take(world, tmp_path, weights=weights))
    assert "NaN" in words


def test_no_weights_at_all(world, tmp_path):
    ran = run("disassemble", *NETWORK, "--data", world.data, "--classes", "ant", "--out", tmp_path / "part")
    assert "give --weights FILE" in refused(ran)
    assert list(tmp_path.iterdir()) == []


def test_missing_data(world, tmp_path):
    assert "is no .npz file, image folder" in take(world, tmp_path, data=tmp_path / "nothing.npz")


def test_an_npz_without_the_keys(world, tmp_path):
    data = write_npz(tmp_path / "half.npz", x_test=None, class_names=None)
    assert "misses x_test, class_names" in take(world, tmp_path, data=data)


def test_an_npz_that_is_none(world, tmp_path):
    (tmp_path / "text.npz").write_bytes(b"no archive")
    assert "cannot be read as .npz" in take(world, tmp_path, data=tmp_path / "text.npz")


def test_an_npz_with_pickled_objects(world, tmp_path):
    data = write_npz(tmp_path / "objects.npz", class_names=np.array(["ant", "bee", "cat", None], dtype=object))
    assert "cannot be read as .npz without pickles" in take(world, tmp_path, data=data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--repair", "rigde"), "use 'ridge', 'mean', 'bn', 'none' or 'tuned'"),
        (("--sampling", "best"), "use 'confident', 'random' or 'all'"),
        (("--alpha", "1.5"), "between 0 and 1"),
        (("--mean", "grey"), "--mean and --std take numbers"),
        (("--mean", "0.5"), "--mean 0.5 with --std unset: preprocessing has 1 means but 0 standard deviations"),
        (("--mean", "123.675", "--std", "0.2"), "--mean 123.675 with --std 0.2: preprocessing normalises images"),
        (("--mean", "0.5", "--std", "58.395"), "has 58.395, which is meant for pixels of 0..255: divide means and"),
        (("--mean", "0.5", "--std", "-0.2"), "--mean 0.5 with --std -0.2: preprocessing has a standard deviation that"),
        (("--batch-size", "0"), "at least 1"),
        (("--multiple", "0"), "give 1 or more"),
        (("--per-class", "0"), "give at least 1"),
        (("--source-classes", "ant,bee"), "the network has 4 classes, but 2 are named"),
        (("--source-classes", "ant,bee,cat,cow"), "(without images: cow): 'dog' is no class"),
    ],
)
def test_options_that_make_no_sense(world, tmp_path, options, words):
    assert words in take(world, tmp_path, *options)


def test_a_size_that_makes_no_sense(world, tmp_path):
    assert "size" in take(world, tmp_path, "--size", "-4")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("inspect",), "not a folder"),
        (("evaluate", "--data", "animals.npz"), "no folder of a saved component or assembly"),
        (("assemble", "--out", "both"), "no folder of a saved component or assembly"),
    ],
)
def test_folders_that_are_not_there(tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused(run(command[0], "nowhere", *command[1:]))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else(world, tmp_path):
    (tmp_path / "holiday").mkdir()
    for command in (("inspect",), ("evaluate", "--data", world.data), ("assemble", "--out", tmp_path / "both")):
        assert "is missing: a saved folder holds manifest.json" in refused(
            run(command[0], tmp_path / "holiday", *command[1:])
        )
    assert [path.name for path in tmp_path.iterdir()] == ["holiday"]


def test_two_components_with_the_same_class_and_no_policy(world, tmp_path):
    ran = run("assemble", world.one, world.one, "--out", tmp_path / "both")
    assert "class 'ant' is in part 1 and part 2" in (words := refused(ran))
    assert "prefer" in words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--layout", "stacked"), "use one of 'parallel', 'padded'"),
        (("--head", "hydra"), "head 'hydra' is unknown"),
        (("--scaling", "up"), "scaling 'up' is unknown"),
        (("--on-clash", "fight"), "--on-clash 'fight' is unknown"),
        (("--head", "affine"), "calibration"),
    ],
)
def test_assembling_in_a_way_that_there_is_not(world, tmp_path, option, words):
    assert words in refused(run("assemble", world.one, world.two, "--out", tmp_path / "both", *option))
    assert list(tmp_path.iterdir()) == []


def test_an_assembly_is_no_part_of_one_dense_network(world, tmp_path):
    ran = run("assemble", world.both, "--layout", "padded", "--out", tmp_path / "more")
    assert "part 1 is an assembly, and layout 'padded' takes components" in refused(ran)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--group", "ant"], "--group 'ant' is no group, without classes; write both, with = between them"),
        (["--group", "dog="], "--group 'dog=' is no group, without classes; write both"),
        (["--group", "=ant"], "--group '=ant' is no group, without name; write both"),
        (["--group", "=,"], "--group '=,' is no group, without name and classes; write both"),
        (["--group", "insect=ant,be"], "did you mean bee"),
        (["--order", "ant"], "the order leaves out"),
    ],
)
def test_groups_and_orders_that_there_are_not(world, tmp_path, option, words):
    assert words in refused(run("assemble", world.one, world.two, "--out", tmp_path / "both", *option))


def test_data_without_the_classes_of_a_part(world, tmp_path):
    data = write_npz(tmp_path / "other.npz", class_names=np.array(["elk", "fox", "gnu", "hen"]))
    words = refused(run("evaluate", world.one, "--data", data))
    assert "(without images: ant, bee): 'elk' is no class of the network; 'fox' is no class" in words


def test_a_source_for_an_assembly(world):
    ran = run("evaluate", world.both, "--source", *world.source())
    assert "--source is for components" in refused(ran)


def test_a_damaged_component_is_not_read(world, tmp_path):
    shutil.copytree(world.one, tmp_path / "part")
    weights = tmp_path / "part" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    for command in (("inspect", "--check"), ("evaluate", "--data", world.data)):
        assert "sha256 differs" in refused(run(command[0], tmp_path / "part", *command[1:]))
    assert run("inspect", tmp_path / "part").code == 0  # which reads no weights


def test_bad_input_changes_no_file_of_the_source(world, tmp_path):
    before = contents(world.data.parent)
    take(world, tmp_path, classes="ant,bea")
    assert contents(world.data.parent) == before

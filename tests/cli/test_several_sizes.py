"""A folder of pictures of several sizes: with --size, and for parts that were cut with it, as if all were of one."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from model_lego.data import class_folders
from tests.support.squares import CLASSES, pictures, refused, run, write_npz

#: Sides of the pictures, one after the other.
SIDES = ((16, 16), (24, 16), (16, 40), (33, 21))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The data set as PNG files, each stretched."""
    root = tmp_path_factory.mktemp("photographs")
    for part, count, seed in (("train", 24, 0), ("test", 10, 1)):
        for number, (image, label) in enumerate(zip(*pictures(count, seed=seed), strict=True)):
            path = root / part / CLASSES[label] / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = SIDES[number // 4 % 4]
            Image.fromarray(image.numpy()).resize((width, height)).save(path)
    return root


@pytest.fixture(scope="module")
def one_size(folder):
    """The same pictures, each brought to 16 x 16 pixels as a network would do it, in one file."""
    found = {}
    for part in ("train", "test"):
        images, labels = [], []
        for label, name in enumerate(CLASSES):
            for path in sorted((folder / part / name).iterdir()):
                x = torch.from_numpy(np.array(Image.open(path)))[None, None].float() / 255
                x = F.interpolate(x, size=(16, 16), mode="bilinear", antialias=True, align_corners=False)
                images.append((255 * x[0, 0]).round().to(torch.uint8).numpy())  # as files are kept
                labels.append(label)
        found |= {f"x_{part}": np.stack(images), f"y_{part}": np.array(labels)}
    return write_npz(folder.with_name("one-size.npz"), **found)


def told(*command):
    ran = run(*command, "--json")
    assert ran.code == 0, ran.err
    return {key: value for key, value in ran.json.items() if key != "folder"}


@pytest.fixture(scope="module")
def parts(world, folder, one_size):
    """Components of two networks, cut with --size; each command says the same of both data sets."""
    made = []
    for weights, classes in ((world.weights, "ant,bee"), (world.others, "dog,cat")):
        out = folder.with_name(f"part-{classes}")
        given = ("--classes", classes, "--size", "16")
        one = told("disassemble", "--paper", *world.source(weights, folder), *given, "--out", out)
        two = told(
            "disassemble",
            "--paper",
            *world.source(weights, one_size),
            *given,
            "--out",
            out.with_name(f"{out.name}-too"),
        )
        assert one == two
        made.append(out)
    return made


def test_without_a_size_they_are_refused_with_what_to_do(world, folder):
    words = refused(run("plan", *world.source(data=folder), "--classes", "ant"))
    assert "different sizes [(1, 16, 16), (1, 16, 40), (1, 24, 16) …]" in words
    assert "--size N" in words


def test_a_part_that_does_not_resize_refuses_them(world, folder):
    assert "different sizes" in refused(run("evaluate", world.one, "--data", folder))


TRAINED = ("-a", "image_size=16", "-a", "width=0.5", "--epochs", "1", "--size", "16", "--batch-size", "8")


def test_a_network_trains_on_them(folder, one_size, tmp_path):
    one, two = (
        told("train", "zoo:lenet5", "--data", data, *TRAINED, "--out", tmp_path / name)
        for name, data in (("one", folder), ("two", one_size))
    )
    assert one == two
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_a_training_looks_at_each_file_once(folder, tmp_path, monkeypatch):
    """The network is known by its classes, and how it takes images by the network."""
    looked, real = [], class_folders.looked_at
    monkeypatch.setattr(class_folders, "looked_at", lambda files, why: looked.append(files) or real(files, why))
    told("train", "zoo:lenet5", "--data", folder, *TRAINED, "--out", tmp_path / "net")
    assert sum(len(paths) for files in looked for paths in files.values()) == 4 * (24 + 10)


@pytest.mark.parametrize(
    "command",
    [
        "evaluate ONE",
        "assemble ONE TWO --out OUT --calibration-per-class 9",
        "finetune ONE --out OUT --epochs 1 --batch-size 8",
        "remove ONE -c bee --out OUT",
        "add ONE TWO --out OUT",
        "report ONE --html OUT.html",
        "distill ONE zoo:lenet5 -a image_size=16 --out OUT --epochs 1 --batch-size 8",
        "distill ONE ONE --hard 0 --out OUT --epochs 1 --batch-size 8",
    ],
)
def test_parts_that_resize_take_them(parts, folder, one_size, tmp_path, command):
    found = []
    for name, data in (("one", folder), ("two", one_size)):
        words = {"ONE": parts[0], "TWO": parts[1], "OUT": tmp_path / name, "OUT.html": tmp_path / f"{name}.html"}
        found.append(told(*(words.get(word, word) for word in command.split()), "--data", data))
        found[-1].pop("page", None)
    assert found[0] == found[1]


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_the_source_of_a_part_resizes_as_the_part_does(world, parts, folder, tmp_path, command):
    out = ("--html", tmp_path / "one.html") if command == "report" else ()
    given = (parts[0], *out, "--source", *world.source(data=folder))
    assert told(command, *given) == told(command, *given, "--size", "16")


def test_a_part_that_resizes_is_a_model_for_them(parts, folder, one_size):
    assert told("plan", "--paper", parts[0], "-d", folder, "-c", "ant") == told(
        "plan", "--paper", parts[0], "-d", one_size, "-c", "ant"
    )

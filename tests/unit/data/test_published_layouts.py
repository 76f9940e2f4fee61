"""Data sets in the layouts in which they are published, written small: nothing is downloaded."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_lego.data import batches, open_data
from model_lego.errors import BadConfig


def picture(path, value, *, size=(64, 64), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, 0, 0)).save(path, quality=100)


def reds(images):
    """The red of the first pixel of each image, in order, with its label."""
    ((x, labels),) = batches(images, batch_size=100)
    return [round(float(value) * 255) for value in x[:, 0, 0, 0]], labels.tolist(), tuple(x.shape[1:])


def near(found, expected):
    return len(found) == len(expected) and all(abs(a - b) <= 3 for a, b in zip(found, expected, strict=True))


# ------------------------------------------------------------------------------------------------------ torchvision


def write_idx(path, array):
    """MNIST's format: two zero bytes, the type (unsigned byte), the dimensions, the numbers; big endian."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize(("name", "first"), [("MNIST", "0 - zero"), ("FashionMNIST", "T-shirt/top")])
def test_mnist_and_fashion_mnist(tmp_path, name, first):
    raw = tmp_path / name / "raw"
    x = np.arange(2 * 28 * 28).reshape(2, 28, 28) % 256
    for part, labels in (("train", [3, 0]), ("t10k", [9, 1])):
        write_idx(raw / f"{part}-images-idx3-ubyte", x)
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.array(labels))
    split = open_data(f"torchvision:{name}", root=tmp_path)
    ((images, labels),) = batches(split.train)
    assert (labels.tolist(), split.test.labels.tolist(), split.class_names[0]) == ([3, 0], [9, 1], first)
    assert torch.equal(images[1, 0], torch.from_numpy(x[1]).float() / 255)


def write_cifar(folder, files, key, coarse):
    """CIFAR's format: pickles of rows of 3,072 bytes, red first; gives the digests by which torchvision knows them."""
    folder.mkdir(parents=True)
    digests = []
    for number, name in enumerate(files):
        rows = np.zeros((2, 3072), dtype=np.uint8)
        rows[:, :1024] = [[10 * number + 1], [10 * number + 2]]
        entry = {"data": rows, key: [number % 3, 2]} | ({"coarse_labels": [0, 0]} if coarse else {})
        content = pickle.dumps(entry)
        (folder / name).write_bytes(content)
        digests.append([name, hashlib.md5(content).hexdigest()])
    return digests


BATCHES = [f"data_batch_{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("name", "folder", "train", "test", "key", "meta"),
    [
        ("CIFAR10", "cifar-10-batches-py", BATCHES, "test_batch", "labels", "batches.meta"),
        ("CIFAR100", "cifar-100-python", ["train"], "test", "fine_labels", "meta"),
    ],
)  # fmt: skip
def test_cifar(tmp_path, monkeypatch, name, folder, train, test, key, meta):
    import torchvision

    known = getattr(torchvision.datasets, name)
    digests = write_cifar(tmp_path / folder, [*train, test], key, name == "CIFAR100")
    content = pickle.dumps({known.meta["key"]: ["ant", "bee", "cat"]})
    (tmp_path / folder / meta).write_bytes(content)
    monkeypatch.setattr(known, "train_list", digests[:-1])
    monkeypatch.setattr(known, "test_list", digests[-1:])
    monkeypatch.setattr(known, "meta", known.meta | {"md5": hashlib.md5(content).hexdigest()})
    split = open_data(f"torchvision:{name}", root=tmp_path)
    found, labels, shape = reds(split.train)
    assert found == [10 * number + extra for number in range(len(train)) for extra in (1, 2)]
    assert labels == [label for number in range(len(train)) for label in (number % 3, 2)]
    assert (shape, split.class_names) == ((3, 32, 32), ("ant", "bee", "cat"))
    assert reds(split.test)[0] == [10 * len(train) + 1, 10 * len(train) + 2]


def test_nothing_is_fetched_unless_it_is_asked_for(tmp_path, monkeypatch):
    from torchvision.datasets import mnist

    asked = []

    def fetch(url, download_root, filename, **_):
        asked.append(filename)
        array = np.zeros((1, 28, 28) if "images" in filename else 1)
        write_idx(Path(download_root) / filename.removesuffix(".gz"), array)

    monkeypatch.setattr(mnist, "download_and_extract_archive", fetch)
    with pytest.raises(BadConfig, match="download it there first"):
        open_data("torchvision:MNIST", root=tmp_path)
    assert asked == []
    assert len(open_data("torchvision:MNIST", root=tmp_path, download=True).train) == 1
    assert len(asked) == 4


# ----------------------------------------------------------------------------------------------------- Tiny-ImageNet


@pytest.fixture
def tiny(tmp_path):
    """Two classes, named in no order; a training and a grey image each; three validation images, one list for all."""
    (tmp_path / "wnids.txt").write_text("n02\nn01\n")
    (tmp_path / "words.txt").write_text("n01\tant\nn02\tbee\nn03\tcow\n")
    for number, name in enumerate(("n01", "n02")):
        picture(tmp_path / "train" / name / "images" / f"{name}_0.JPEG", 50 + 100 * number)
        picture(tmp_path / "train" / name / "images" / f"{name}_1.JPEG", 60 + 100 * number, mode="L")
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text("0\t0\t1\t1\n")
    for number, value in enumerate((10, 20, 30)):
        picture(tmp_path / "val" / "images" / f"val_{number}.JPEG", value)
    lines = ["val_0.JPEG\tn02\t0\t0\t9\t9", "val_1.JPEG\tn01\t0\t0\t9\t9", "val_2.JPEG\tn02\t0\t0\t9\t9"]
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    picture(tmp_path / "test" / "images" / "test_0.JPEG", 99)  # nobody knows its class
    return tmp_path


def test_tiny_imagenet(tiny):
    split = open_data(tiny)
    assert split.class_names == ("n01", "n02")
    found, labels, shape = reds(split.train)
    assert (labels, shape) == ([0, 0, 1, 1], (3, 64, 64))
    assert near(found, [50, 60, 150, 160])
    found, labels, _ = reds(split.test)
    assert labels == [0, 1, 1]
    assert near(found, [20, 10, 30])


def test_what_is_left_out_of_tiny_imagenet_is_said(tiny):
    (tiny / "train" / "n01" / "images" / "notes.txt").write_text("n01")
    with pytest.warns(UserWarning, match=r"left out of '.*': another suffix 1: train/n01/images/notes\.txt$"):
        assert len(open_data(tiny).train) == 4


def test_tiny_imagenet_in_which_something_is_wrong(tiny):
    (tiny / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn07\t0\t0\t9\t9\n")
    with pytest.raises(BadConfig, match=r"'val_0\.JPEG' is of class 'n07', which the training part does not have"):
        open_data(tiny)
    (tiny / "val" / "val_annotations.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match=r"val_annotations\.txt', which says the classes.* be read: 'utf-8' codec"):
        open_data(tiny)
    (tiny / "val" / "val_annotations.txt").unlink()
    with pytest.raises(BadConfig, match=r"val_annotations\.txt', which says the classes"):
        open_data(tiny)
    os.mkfifo(tiny / "val" / "val_annotations.txt")
    with pytest.raises(BadConfig, match=r"val_annotations\.txt', which says the classes"):
        open_data(tiny)
    (tiny / "val" / "val_annotations.txt").unlink()
    (tiny / "wnids.txt").unlink()
    with pytest.raises(BadConfig, match=r"looks like Tiny-ImageNet, but has no wnids\.txt"):
        open_data(tiny)
    (tiny / "wnids.txt").write_text("n01\nn02\nn09\n")
    (tiny / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\t0\t0\t9\t9\n")
    with pytest.warns(UserWarning, match="training part of .* holds no image of class n09"):
        assert open_data(tiny).class_names == ("n01", "n02", "n09")


# ---------------------------------------------------------------------------------------------------------- ImageNet


def test_imagenet_as_published(tmp_path):
    data = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    picture(data / "train" / "n02" / "n02_1.JPEG", 200, size=(500, 375))
    picture(data / "train" / "n01" / "n01_1.JPEG", 100, size=(60, 90), mode="L")
    picture(data / "val" / "ILSVRC2012_val_00000001.JPEG", 40, size=(300, 300))
    picture(data / "val" / "ILSVRC2012_val_00000002.JPEG", 80, size=(256, 300))
    rows = [
        "ImageId,PredictionString",
        "ILSVRC2012_val_00000002,n01 1 2 3 4 n01 5 6 7 8",
        "ILSVRC2012_val_00000001,n02 1 2 3 4 ",
    ]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(rows) + "\n")
    split = open_data(tmp_path)
    found, labels, shape = reds(split.train)
    assert (labels, shape, split.class_names) == ([0, 1], (3, 224, 224), ("n01", "n02"))
    assert near(found, [100, 200])
    found, labels, _ = reds(split.test)
    assert labels == [0, 1]
    assert near(found, [80, 40])


def test_of_a_picture_the_middle_is_taken(tmp_path):
    """Of 512 x 256 pixels, red left of the middle 224 columns and right of them, nothing red is seen."""
    data = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    x = np.zeros((256, 512, 3), dtype=np.uint8)
    x[:, :140, 0] = x[:, 372:, 0] = 255
    x[:, 148:364, 1] = 200
    for folder in (data / "train" / "n01", data / "val"):
        folder.mkdir(parents=True)
        Image.fromarray(x).save(folder / "a.JPEG", quality=100)
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\na,n01 1 2 3 4\n")
    image = open_data(tmp_path).train.image(0)
    assert image.shape == (3, 224, 224)
    assert image[0].max() < 0.5
    assert (image[1, :, 8:-8] - 200 / 255).abs().max() < 0.05

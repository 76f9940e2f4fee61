"""Data that is open is read as a network takes it, which may be known later; no file is looked at a second time."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from model_lego.data import batches, open_data
from model_lego.data.folders import PUBLISHED
from model_lego.parts.preprocessing import Preprocessing

CLASSES, SIDES = ("ant", "bee"), ((8, 12), (16, 10), (9, 9))
GREY, COLOURED = Preprocessing(size=6), Preprocessing((0.5,) * 3, (0.25,) * 3, size=(5, 7))


def pictures(folder, mode="RGB"):
    """Three pictures of several sizes."""
    folder.mkdir(parents=True)
    for number, side in enumerate(SIDES):
        shade = 40 + 60 * number
        Image.new(mode, side, shade if mode == "L" else (shade, 20, 90)).save(folder / f"{number}.png")


def in_parts(root, mode="RGB"):
    for part in ("train", "val"):
        for name in CLASSES:
            pictures(root / part / name, mode)
    return root


def alone(root):
    for name in CLASSES:
        pictures(root / name)
    return root


def listed(root):
    rows = [("file", "label", "split")]
    for part in ("train", "test"):
        for name in CLASSES:
            pictures(root / part / name)
            rows += [(f"{part}/{name}/{number}.png", name, part) for number in range(len(SIDES))]
    with (root / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root / "list.csv"


def imagenet(root):
    data = root / "ILSVRC" / "Data" / "CLS-LOC"
    for name in ("n01440764", "n02102040"):
        (data / "train" / name).mkdir(parents=True)
        Image.new("RGB", (300, 280), (99, 0, 0)).save(data / "train" / name / f"{name}_1.JPEG")
    (data / "val").mkdir()
    Image.new("RGB", (280, 300), (50, 0, 0)).save(data / "val" / "V1.JPEG")
    (root / "LOC_val_solution.csv").write_text("ImageId,PredictionString\nV1,n02102040 1 2 3 4\n")
    return root


def archive(root):
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(root / "set.npz", class_names=CLASSES, **arrays)
    return root / "set.npz"


LAYOUTS = {
    "in parts": in_parts,
    "in grey": lambda root: in_parts(root, "L"),
    "classes alone": alone,
    "a list": listed,
    "ImageNet": imagenet,
    "an archive": archive,
}


def pixels(images):
    return [(x, y.tolist()) for x, y in batches(images, batch_size=1)]


@pytest.mark.filterwarnings("ignore:.*no parts train/ and test/")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("preprocessing", [GREY, COLOURED, Preprocessing()], ids=["grey", "coloured", "as it is"])
def test_it_is_as_if_it_were_opened_so(tmp_path, layout, preprocessing, monkeypatch):
    place = LAYOUTS[layout](tmp_path)
    expected, split = open_data(place, preprocessing=preprocessing), open_data(place)
    with monkeypatch.context() as patched:
        patched.setattr(Image, "open", lambda *_: pytest.fail("a file is looked at again"))
        found = split.taken_by(preprocessing)
    assert (found.class_names, found.notes) == (expected.class_names, expected.notes)
    for one, other in ((found.train, expected.train), (found.test, expected.test)):
        for (x, label), (y, wanted) in zip(pixels(one), pixels(other), strict=True):
            assert torch.equal(x, y)
            assert label == wanted


def test_a_published_size_holds_where_none_is_said(tmp_path):
    split = open_data(imagenet(tmp_path))
    assert PUBLISHED.final_size == (224, 224)
    sizes = [pixels(split.taken_by(each).test)[0][0].shape for each in (Preprocessing(), GREY, Preprocessing(size=9))]
    assert [tuple(size[2:]) for size in sizes] == [(224, 224), (6, 6), (9, 9)]


def test_it_keeps_to_its_channels_and_its_cache(tmp_path, monkeypatch):
    split = open_data(in_parts(tmp_path), channels=1, cache=0).taken_by(COLOURED)
    assert pixels(split.train)[0][0].shape == (1, 1, 5, 7)
    opened, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda path, *more: opened.append(path) or real(path, *more))
    for _ in range(2):
        pixels(split.test)
    assert len(opened) == 2 * len(CLASSES) * len(SIDES)

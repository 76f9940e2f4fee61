"""Photographs as people have them: how they are taken, from the options to the part, and whatever lies among them."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

import model_lego as ml
from model_lego.cli.options import PreprocessingOptions
from model_lego.cli.preprocessing import parse_preprocessing
from model_lego.data import photo_sets
from model_lego.errors import BadConfig
from model_lego.parts.normalisations import NORMALISATIONS
from tests.support.squares import CLASSES, pictures, refused, run

KNOWN = ml.Preprocessing("half", size=256, crop=224, interpolation="bicubic")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, KNOWN),
        ({"mean": "imagenet"}, ml.Preprocessing("imagenet", size=256, crop=224, interpolation="bicubic")),
        ({"std": "clip"}, ml.Preprocessing("clip", size=256, crop=224, interpolation="bicubic")),
        ({"mean": "0,0,0", "std": "imagenet"}, ml.Preprocessing((0, 0, 0), "imagenet", 256, 224, "bicubic")),
        (
            {"mean": "127/255", "std": "128/255"},
            ml.Preprocessing((127 / 255,), (128 / 255,), size=256, crop=224, interpolation="bicubic"),
        ),
        ({"size": "64"}, ml.Preprocessing("half", size=(64, 64), interpolation="bicubic")),
        ({"size": "64x96"}, ml.Preprocessing("half", size=(64, 96), interpolation="bicubic")),
        ({"size": "64", "crop": "32x48"}, ml.Preprocessing("half", size=64, crop=(32, 48), interpolation="bicubic")),
        ({"crop": "192"}, ml.Preprocessing("half", size=256, crop=192, interpolation="bicubic")),
        ({"interpolation": "nearest"}, ml.Preprocessing("half", size=256, crop=224, interpolation="nearest")),
    ],
)
def test_what_is_said_counts_before_what_is_known(options, expected):
    assert parse_preprocessing(PreprocessingOptions(**options), KNOWN) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "0"}, "--size 0 is no side of an image; give at least 1, or height and width as 192x256"),
        ({"size": "8x8x8"}, "--size 8x8x8 is no side"),
        ({"crop": "big"}, "--crop big is no side"),
        ({"crop": "8"}, "--mean unset with --std unset with --crop 8: preprocessing crops to .* needs a size"),
        ({"size": "8", "crop": "9"}, "with --size 8 with --crop 9: .* which are smaller"),
        ({"interpolation": "lanczos"}, "interpolation 'lanczos'; use one of bilinear, bicubic, nearest"),
        (
            {"mean": "image-net"},
            "--mean and --std take numbers or fractions .* separated by commas, or one of imagenet",
        ),
        ({"mean": "127/0"}, "--mean and --std take numbers or fractions .*zero"),
        ({"std": "128/"}, "--mean and --std take numbers or fractions .*convert"),
    ],
)
def test_what_is_no_preprocessing_is_refused(options, words):
    with pytest.raises(BadConfig, match=words):
        parse_preprocessing(PreprocessingOptions(**options))


def test_the_names_of_normalisations_are_in_the_help():
    for name in NORMALISATIONS:
        assert name in run("disassemble", "--help").out


# ------------------------------------------------------------------------------------------------------------- folders


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The squares as photos of several sizes, one class in emoji, and whatever else people have in such folders."""
    root = tmp_path_factory.mktemp("photos")
    for part, count, seed in (("train", 24, 0), ("test", 10, 1)):
        for number, (image, label) in enumerate(zip(*pictures(count, seed=seed), strict=True)):
            path = root / part / CLASSES[label] / f"{number:03} 🐜 é.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).resize((16 + number % 5, 24)).save(path)
    ants, bees = root / "train" / "ant", root / "train" / "bee"
    (root / "train" / "elk").mkdir()
    (root / "test" / "elk").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 4), dtype=np.uint8)
    Image.fromarray(noise).save(bees / "alpha.png")
    Image.fromarray(noise[..., 0]).save(bees / "grey.jpg")
    Image.fromarray(noise).convert("RGB").convert("CMYK").save(bees / "print.jpg")
    Image.fromarray(noise[..., :3]).save(ants / "cut.jpg")
    (ants / "cut.jpg").write_bytes((ants / "cut.jpg").read_bytes()[:300])
    (ants / "empty.png").write_bytes(b"")
    (ants / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (ants / "notes 🐝.txt").write_text("ants")
    os.mkfifo(ants / "pipe.png")
    (ants / "loop.png").symlink_to("loop.png")
    (ants / "round").symlink_to(ants, target_is_directory=True)
    return root


TAKEN = ("--size", "20", "--crop", "16", "--interpolation", "bicubic")


@pytest.fixture(scope="module")
def part(world, photos, tmp_path_factory):
    """A component that was cut with them, and what was said."""
    out = tmp_path_factory.mktemp("parts") / "one"
    data = photos.with_name("grey")
    shutil.copytree(photos, data, symlinks=True, ignore=shutil.ignore_patterns("alpha.png", "print.jpg", "pipe.png"))
    names = ("--source-classes", "ant,bee,cat,dog")
    ran = run("disassemble", "--paper", *world.source(data=data), *names, "--classes", "ant,bee", *TAKEN, "--out", out)
    assert ran.code == 0, ran.err
    return out, data, ran.err


def test_bad_files_are_each_said_once_and_nothing_is_lost(part, photos):
    _, data, said = part
    for words in (
        f"'{data / 'train'}' holds no image of class elk",
        f"'{data / 'test'}' holds no image of class elk",
        "sub-folders 1: train/ant/round",
        "no regular files 1: train/ant/loop.png",
        "another suffix 2: train/ant/notes 🐝.txt, train/ant/phone.heic",
        "unreadable 2: train/ant/cut.jpg",
        "train/ant/empty.png (it holds no picture)",
    ):
        assert said.count(words) == 1, said


def test_the_part_takes_photos_as_they_were_taken(part, photos):
    out, data, _ = part
    assert ml.load(out).preprocessing == ml.Preprocessing(size=20, crop=16, interpolation="bicubic")
    told = " ".join(run("inspect", out).out.split())
    assert "shorter side brought to 20 (bicubic), cropped to 16 x 16" in told
    assert run("evaluate", out, "--data", data, "--json").code == 0


def test_coloured_photos_are_grey_to_a_grey_part(part, photos):
    out, _, _ = part
    ran = run("evaluate", out, "--data", photos, "--json")
    assert ran.code == 0, ran.err
    assert "no regular files 2: train/ant/loop.png, train/ant/pipe.png" in ran.err


def test_a_class_without_photos_is_an_error_where_it_is_asked_for(world, part):
    _, data, _ = part
    more = ("--classes", "elk,ant", "--epochs", "1", "--size", "16", "--out", data.with_name("trained"))
    ran = run("train", "zoo:lenet5", "-a", "image_size=16", "--data", data, *more)
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "error: there is no image of class 'elk' in the data")


def test_by_default_classes_with_photos_are_learned_and_those_with_test_photos_measured(part):
    _, data, _ = part
    fresh = data.with_name("fresh")
    for name in ("train/ant", "train/bee", "train/elk", "test/ant"):
        (fresh / name).mkdir(parents=True)
        for number in range(0 if name == "train/elk" else 3):
            Image.new("L", (20, 20), 50 * number).save(fresh / name / f"{number}.png")
    more = ("--epochs", "1", "--size", "16", "--batch-size", "3", "--out", fresh.with_name("learned"), "--json")
    ran = run("train", "zoo:lenet5", "-a", "image_size=16", "--data", fresh, *more)
    assert ran.code == 0, ran.err
    assert ran.json["classes"] == ["ant", "bee"]
    ran = run("train", "zoo:lenet5", "-a", "image_size=16", "--data", fresh, "-c", "bee", *more, "--overwrite")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith(f"error: '{fresh}' has no test image of bee,")


def test_three_photos_a_class_under_any_name_are_divided_and_none_is_lost(tmp_path):
    names = ["bee 🐝", "çat é"]
    for name in names:
        (tmp_path / "three" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (20, 20), 50 * number).save(tmp_path / "three" / name / f"{number} 🐜.png")
    more = ("--epochs", "1", "--size", "16", "--batch-size", "2", "--out", tmp_path / "out", "--json")
    ran = run("train", "zoo:lenet5", "-a", "image_size=16", "--data", tmp_path / "three", *more)
    assert ran.code == 0, ran.err
    assert (ran.json["classes"], ran.json["images"]) == (names, 4)
    assert "is measured (2 of 6), and the others are learned from" in ran.err


def test_a_csv_file_is_data(part):
    out, data, _ = part
    lines = [
        f"{path.relative_to(data)},{path.parent.name},{path.parts[-3]}"
        for path in sorted(data.rglob("*.png"))
        if path.parent.name in ("ant", "bee") and path.is_file() and path.stat().st_size
    ]
    (data / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    found = [run("evaluate", out, "--data", where, "--json").json for where in (data, data / "labels.csv")]
    assert found[0] == found[1]
    (data / "labels.csv").write_text("nothing.png,ant,test\nrow\n")
    words = refused(run("evaluate", out, "--data", data / "labels.csv"))
    assert "line 1: there is no file 'nothing.png'; line 2: it has 1 values, where 3 were expected" in words


@pytest.mark.parametrize(("options", "bytes_kept"), [([], 2**30), (["--cache", "0"], 0), (["--cache", "7"], 7 * 2**20)])
def test_photos_are_kept_within_the_budget(part, options, bytes_kept, monkeypatch):
    out, data, _ = part
    budgets = []
    kept = photo_sets.Kept
    monkeypatch.setattr(photo_sets, "Kept", lambda budget: budgets.append(budget) or kept(budget))
    assert run("evaluate", out, "--data", data, *options).code == 0
    assert set(budgets) == {bytes_kept}


def test_a_budget_below_nothing_is_refused(part):
    out, data, _ = part
    words = "--cache -1 is no size; give the MiB of photos to keep in memory, 0 for none"
    assert refused(run("evaluate", out, "--data", data, "--cache", "-1")) == words

"""model-lego routes."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.support.squares import CLASSES, arrays, pictures, refused, run, trained, write_npz


def test_routes_are_printed_and_written(world, tmp_path):
    pytest.importorskip("matplotlib")
    names = ("routes.svg", "routes.html", "overlap.png", "maps.png")
    files = [argument for option, name in zip(("--draw", "--html", "--overlap", "--maps"), names, strict=True)
             for argument in (option, tmp_path / name)]  # fmt: skip
    ran = run("routes", *world.source(), *files, "--samples", "2", "--layers", "classifier.0,classifier.2")
    assert ran.code == 0, ran.err
    assert "overlap (Jaccard index)" in ran.out
    assert "correlation of samples" in ran.out
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert all(name in (tmp_path / "routes.html").read_text() for name in CLASSES)


def test_routes_of_some_classes_and_images_as_json(world):
    ran = run("routes", *world.source(), "--classes", "bee,3", "--image", "0", "--image", "39", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["names"] == ["bee", "dog", "image 0 (ant)", "image 39 (dog)"]
    assert ran.json["images"] == 2
    assert len(ran.json["overlap"]) == 4


@pytest.mark.parametrize("images", [("0",), ("5", "39"), ("12", "one.png")])
def test_what_the_network_takes_an_image_for_is_said(world, tmp_path, monkeypatch, images):
    monkeypatch.chdir(tmp_path)
    data, labels = pictures(10, seed=1)
    Image.fromarray(data[12].numpy()).save("one.png")
    given = [word for image in images for word in ("--image", image)]
    ran, told = run("routes", *world.source(), *given), run("routes", *world.source(), *given, "--json").json["answers"]
    assert ran.code == 0, ran.err
    shares = 100 * trained(seed=0)(data[:, None].float() / 255).detach().double().softmax(1)
    for line, image, answer in zip(ran.out.splitlines(), images, told, strict=False):
        share, name = max(zip(shares[int(image) if image.isdecimal() else 12].tolist(), CLASSES, strict=True))
        assert line.startswith(f"image {image}: {name} {share:.1f} %, then ")
        assert (answer["image"], answer["classes"][0]) == (image, name)
        assert answer["probabilities"][0] == pytest.approx(share, abs=1e-3)
        assert answer["label"] == (CLASSES[labels[int(image)]] if image.isdecimal() else None)
        assert line.endswith("; right") == image.isdecimal()


def test_a_wrong_answer_is_said_beside_what_the_image_is(world, tmp_path):
    data = write_npz(tmp_path / "turned.npz", y_test=(arrays()["y_test"] + 1) % 4)
    ran = run("routes", *world.source(data=data), "--image", "0")
    assert ran.code == 0, ran.err
    assert re.match(r"image 0: ant [\d.]+ %, then .*; it is bee\n", ran.out)


def test_an_image_alone_needs_no_statistics(world, monkeypatch):
    monkeypatch.setattr("model_lego.attribute", None)
    ran = run("routes", *world.source(), "--image", "5", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["names"] == ["image 5 (bee)"]


def test_an_image_file_has_the_routes_of_the_same_image_in_the_data(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = pictures(10, seed=1)[0][5].numpy()
    Image.fromarray(pixels).save("bee.png")
    (tmp_path / "7").write_bytes((tmp_path / "bee.png").read_bytes())
    Image.fromarray(np.stack([pixels] * 3, 2)).save("bee.ppm")  # in colours
    files = ("5", "bee.png", "./7", str(tmp_path / "bee.ppm"))
    images = [word for file in files for word in ("--image", file)]
    ran = run("routes", *world.source(), *images, "--mean", "0.4", "--std", "0.3", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["names"] == ["image 5 (bee)", "image bee.png (bee)", "image 7 (bee)", "image bee.ppm (bee)"]
    assert ran.json["overlap"] == [[1.0] * 4] * 4
    for layer in ran.json["layers"]:
        assert len(set(map(tuple, layer["relevant"].values()))) == len(set(layer["edges"].values())) == 1


def test_an_image_file_is_brought_to_the_size_of_the_network(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, size in (("fits.png", (16, 16)), ("large.png", (50, 31)), ("small.png", (9, 9))):
        Image.new("L", size, 180).save(name)
    images = [word for name in ("fits.png", "large.png", "small.png") for word in ("--image", name)]
    ran = run("routes", *world.source(), *images, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["overlap"] == [[1.0] * 3] * 3


def test_files_of_one_name_are_told_apart(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/one.png", "b/one.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (16, 16), 180).save(name)
    ran = run("routes", *world.source(), "--image", "a/one.png", "--image", "b/one.png", "--json")
    assert [name.partition(" (")[0] for name in ran.json["names"]] == ["image a/one.png", "image b/one.png"]


def test_saved_statistics_give_the_same_routes(world, tmp_path):
    assert run("attribute", *world.source(), "--out", tmp_path / "stats").code == 0
    line = ["routes", *world.source(), "--classes", "cat,dog", "--alpha", "0.5", "--linear-beta", "0.6", "--json"]
    assert run(*line, "--stats", tmp_path / "stats").json == run(*line).json != run(*line[:-5], "--json").json


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--draw", "routes.gif"], "end it in .png or .svg"),
        (["--html", "routes.txt"], "end it in .html"),
        (["--samples", "0"], "at least 1"),
        (["--alpha", "2"], "between 0 and 1"),
        (["--image", "bee.png"], "'bee.png' is no number of a test image, and there is no such file"),
        (["--image", "-1"], "'-1' is no number"),
        (["--image", __file__], "holds no picture"),
    ],
)
def test_options_are_refused_before_the_network_is_read(world, monkeypatch, more, words):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("model_lego.cli.routes.open_source", None)
    assert words in refused(run("routes", *world.source(), *more))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--classes", "owl"], "no class 'owl'"),
        (["--image", "40"], "among the 40 test images (0 to 39); a file of that name is ./40"),
        (["--classes", "ant", "--overlap", "one.png"], "name two or more"),
        (["--image", "1", "--maps", "maps.png"], "name them with --classes"),
        (["--draw", "one.png", "--layers", "conv9"], "'conv9' is no layer"),
        (["--image", "1", *["--image", "2"] * 40, "--html", "many.html"], "too many"),
    ],
)
def test_what_cannot_be_shown_is_said_before_anything_is_written(world, tmp_path, monkeypatch, more, words):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert words in refused(run("routes", *world.source(), *more))
    assert list(tmp_path.iterdir()) == []


def test_the_page_shows_photos_out_of_so_many_test_images(world, tmp_path):
    for number, words in (("5", "Out of 5 images"), ("0", None)):
        ran = run("routes", *world.source(), "--html", tmp_path / "page.html", "--photos", number)
        assert ran.code == 0, ran.err
        text = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert ("data:image/png" in text) == (words is not None)
        assert words is None or words in text
    assert "--photos -1 is no number of images" in refused(run("routes", *world.source(), "--photos", "-1"))

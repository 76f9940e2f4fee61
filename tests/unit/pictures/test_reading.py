"""Single image files: what is read of them, in how many colours, and which are refused."""

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from model_lego.errors import BadBatches, ShapeMismatch
from model_lego.pictures.reading import Unreadable, flaw, form_of, read_picture
from model_lego.pictures.taking import in_colours

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def damaged_png(path):
    """A PNG whose pixels are said to be no bytes long, on which a decoder stumbles late."""
    Image.fromarray(PIXELS).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") - 1] = 0
    path.write_bytes(content)


def test_a_picture_keeps_its_pixels_and_is_grey_or_has_three_colours(tmp_path):
    for mode, channels in (("L", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)):
        Image.fromarray(PIXELS).convert(mode).save(tmp_path / "one.png")
        assert read_picture(tmp_path / "one.png").shape == (channels, 4, 5)
    Image.fromarray(PIXELS).save(tmp_path / "one.png")
    assert torch.equal(read_picture(tmp_path / "one.png"), torch.from_numpy(PIXELS).permute(2, 0, 1) / 255)


@pytest.mark.parametrize("name", ["one.jpg", "one.png", "one.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_upright_however_the_camera_was_held(tmp_path, name, orientation):
    note = Image.Exif()
    note[0x0112] = orientation
    dull = Image.fromarray(PIXELS).resize((50, 40))
    dull.save(tmp_path / name, exif=note)
    with Image.open(tmp_path / name) as opened:
        expected = torch.from_numpy(np.array(ImageOps.exif_transpose(opened))).permute(2, 0, 1) / 255
    assert torch.equal(read_picture(tmp_path / name), expected)
    assert form_of(tmp_path / name) == (True, tuple(expected.shape[:0:-1]))
    assert expected.shape[1] == (50 if orientation > 4 else 40)


@pytest.mark.parametrize("note", [b"Exif\0\0II*\0\xff", b"Exif\0\0nonsense", b"Exif\0\0"])
def test_a_damaged_note_leaves_the_picture_as_it_is(tmp_path, note):
    picture = Image.fromarray(PIXELS)
    picture.save(tmp_path / "with.jpg", exif=note)
    picture.save(tmp_path / "without.jpg")
    assert torch.equal(read_picture(tmp_path / "with.jpg"), read_picture(tmp_path / "without.jpg"))
    assert form_of(tmp_path / "with.jpg") == (True, (5, 4))


def test_colours_become_those_that_a_network_takes():
    picture = torch.from_numpy(PIXELS).permute(2, 0, 1) / 255
    grey = torch.from_numpy(np.array(Image.fromarray(PIXELS).convert("L"))) / 255  # as Pillow has it, in whole steps
    assert bool(((in_colours(picture, 1)[0] - grey).abs() <= 1 / 255).all())
    assert torch.equal(in_colours(grey[None], 3), torch.stack([grey, grey, grey]))
    assert in_colours(picture, 3) is picture
    with pytest.raises(ShapeMismatch, match="4 channels"):
        in_colours(picture, 4)


@pytest.mark.parametrize(
    ("content", "words"), [(b"hello", "holds no picture"), (b"P6 2x5 20 255 ", "invalid literal"), (None, "broken PNG")]
)
def test_what_is_no_picture_or_a_damaged_one_is_refused(tmp_path, content, words):
    file = tmp_path / "one.png"
    damaged_png(file) if content is None else file.write_bytes(content)
    with pytest.raises(BadBatches, match=rf"one\.png' cannot be read: .*{words}"):
        read_picture(file)


@pytest.mark.parametrize("read", [read_picture, form_of])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make, read):
    make(tmp_path / "one.png")
    with pytest.raises(BadBatches, match=r"one\.png' cannot be read: it is no regular file"):
        read(tmp_path / "one.png")


def test_what_the_system_says_of_a_file_names_it_once(tmp_path):
    with pytest.raises(BadBatches, match=r"gone\.png' cannot be read: No such file or directory") as caught:
        read_picture(tmp_path / "gone.png")
    assert str(caught.value).count("gone.png") == 1


@pytest.mark.parametrize("read", [read_picture, form_of])
@pytest.mark.parametrize("size", [(101, 1), (11, 10), (40, 40)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path, monkeypatch, read, size):
    Image.new("L", size).save(tmp_path / "one.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadBatches, match=r"one\.png' cannot be read: it has more than 100 pixels; make it smaller"):
        read(tmp_path / "one.png")


def test_the_warning_of_too_many_pixels_is_the_same_refusal_where_warnings_are_errors(tmp_path, monkeypatch):
    Image.new("L", (11, 10)).save(tmp_path / "one.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadBatches, match="more than 100 pixels"):
        read_picture(tmp_path / "one.png")


@pytest.mark.parametrize("most", [100, None])
def test_as_many_pixels_as_pillow_is_told_to_read_are_read(tmp_path, monkeypatch, most):
    Image.new("L", (10, 10) if most else (20, 20)).save(tmp_path / "one.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    assert read_picture(tmp_path / "one.png").numel() == (most or 400)


def variants():
    """The same picture in many formats, by file name."""
    picture = Image.fromarray(np.tile(PIXELS, (4, 4, 1)))
    found = {}
    for name, mode, how in [
        ("a.jpg", "RGB", {}),
        ("b.jpg", "CMYK", {"progressive": True}),
        ("a.png", "RGB", {}),
        ("b.png", "P", {}),
        ("a.gif", "RGB", {"save_all": True, "append_images": [picture.rotate(90)]}),
        ("a.bmp", "RGB", {}),
        ("a.webp", "RGB", {}),
        ("a.ppm", "RGB", {}),
        ("b.pgm", "L", {}),
        ("a.tif", "RGB", {}),
        ("b.tif", "RGB", {"compression": "tiff_lzw"}),
        ("c.tif", "RGB", {"compression": "tiff_deflate"}),
    ]:
        content = io.BytesIO()
        picture.convert(mode).save(content, format=Image.registered_extensions()[Path(name).suffix], **how)
        found[name] = content.getvalue()
    return found


@pytest.mark.parametrize(("name", "whole"), variants().items(), ids=list(variants()))
@pytest.mark.filterwarnings("ignore")  # what Pillow thinks of such files
def test_a_file_with_wrong_bytes_is_read_or_refused_in_words(tmp_path, name, whole):
    for seed in range(30):
        chance = random.Random(seed)
        content = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            content[chance.randrange(min(len(content), chance.choice((30, 200, 10_000))))] = chance.randrange(256)
        (tmp_path / name).write_bytes(content[: chance.choice((len(content), chance.randrange(len(content))))])
        assert flaw(tmp_path / name) in (None, reason_of(tmp_path / name))


def reason_of(file):
    """Why a file cannot be read, None where a picture comes of it; any other error goes on."""
    try:
        assert read_picture(file).isfinite().all()
    except Unreadable as error:
        return error.reason
    return None

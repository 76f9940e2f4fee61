"""A picture file as a network takes it: colours, size, bytes that stay bytes, and few large ones at once."""

import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from model_lego.errors import ShapeMismatch
from model_lego.parts.preprocessing import Preprocessing
from model_lego.pictures.reading import read_picture
from model_lego.pictures.room import Room
from model_lego.pictures.taking import picture_for, pixels_for

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
CROPPED = Preprocessing(size=16, crop=12)


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_a_picture_is_brought_to_a_size_as_tensors_are_and_rounded_to_bytes(photo):
    found = picture_for(photo, 3, CROPPED.resized)
    expected = CROPPED(read_picture(photo)[None])[0]
    assert float((found - expected).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(found, pixels_for(photo, 3, CROPPED.resized) / 255)
    assert torch.equal(CROPPED(found[None])[0], found)


def test_without_a_size_pixels_are_those_of_the_file(photo):
    assert torch.equal(pixels_for(photo, None), torch.from_numpy(PIXELS).permute(2, 0, 1))
    assert torch.equal(picture_for(photo, 3), read_picture(photo))


def test_colours_become_those_of_the_network(photo, tmp_path):
    assert picture_for(photo, 1, CROPPED.resized).shape == (1, 12, 12)
    Image.fromarray(PIXELS).convert("L").save(tmp_path / "grey.png")
    grey = picture_for(tmp_path / "grey.png", 3, CROPPED.resized)
    assert torch.equal(grey, picture_for(tmp_path / "grey.png", None, CROPPED.resized).expand(3, -1, -1))
    with pytest.raises(ShapeMismatch, match="4 channels"):
        picture_for(photo, 4, CROPPED.resized)


def test_more_than_8_bits_are_not_rounded(tmp_path):
    values = np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40
    Image.fromarray(values).save(tmp_path / "deep.png")
    found = pixels_for(tmp_path / "deep.png", 3, CROPPED.resized)
    assert torch.equal(found, CROPPED(read_picture(tmp_path / "deep.png")[None])[0].expand(3, -1, -1))


@pytest.mark.parametrize("name", ["alpha.png", "palette.png", "palette.gif", "grey.png"])
def test_what_is_see_through_is_taken_as_if_it_were_not(tmp_path, name):
    shown = Image.fromarray(PIXELS).convert("L" if name == "grey.png" else "RGB")
    if name.startswith("palette"):
        shown = shown.quantize(16)
        shown.save(tmp_path / name, transparency=bytes(range(16)) if name.endswith("png") else 3)
    else:
        veiled = shown.copy()
        veiled.putalpha(Image.linear_gradient("L").resize(shown.size))
        veiled.save(tmp_path / name)
    expected = torch.from_numpy(np.array(shown.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(pixels_for(tmp_path / name, 3), expected)


def test_cmyk_is_taken_as_pillow_takes_it(tmp_path):
    Image.fromarray(PIXELS).convert("CMYK").save(tmp_path / "print.jpg")
    with Image.open(tmp_path / "print.jpg") as opened:
        expected = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(pixels_for(tmp_path / "print.jpg", 3), expected)


def test_threads_wait_where_pictures_would_take_more_room_than_there_is():
    room, most, now, lock = Room(), [0], [0], threading.Lock()

    def take(amount):
        with room.taken(amount, 100):
            with lock:
                now[0] += amount
                most[0] = max(most[0], now[0])
            time.sleep(0.002)  # in which others could come
            with lock:
                now[0] -= amount

    threads = [threading.Thread(target=take, args=(amount,)) for amount in [60, 50, 40, 90, 10, 30] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] <= 100


def test_what_is_larger_than_the_room_is_taken_alone():
    with Room().taken(500, 100):
        pass


def test_a_picture_gives_its_room_back_also_where_it_cannot_be_read(tmp_path, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    whole = photo.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for _ in range(3):
        with pytest.raises(ValueError, match="cannot be read"):
            read_picture(tmp_path / "cut.png")
        assert read_picture(photo).shape == (3, 40, 50)

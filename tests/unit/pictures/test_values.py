"""What the values of a picture mean: those of 8 and 16 bits by their form, those of 32 bits by their range."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image

from model_lego.errors import BadBatches
from model_lego.pictures.reading import form_of, read_picture

RAMP = np.linspace(0, 1, 20, dtype=np.float32).reshape(4, 5)
GREY = torch.from_numpy(RAMP)[None]


def written(path, values):
    Image.fromarray(values).save(path)
    return path


def tiff(path, values, *, bits, form):
    """A grey TIFF by hand, with a form of its samples (1 unsigned, 2 signed) that Pillow never writes."""
    data = values.tobytes()
    height, width = values.shape
    short = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 277: 1, 278: height, 339: form}
    tags = sorted(({tag: (3, number) for tag, number in short.items()} | {273: (4, 8), 279: (4, len(data))}).items())
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, number) for tag, (kind, number) in tags)
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + rows + bytes(4)
    )
    return path


@pytest.mark.parametrize("name", ["one.tif", "one.tiff", "one.pfm"])
def test_floats_in_0_to_1_are_taken_as_they_are_in_one_channel(tmp_path, name):
    file = written(tmp_path / name, RAMP)
    assert torch.equal(read_picture(file), GREY)
    assert form_of(file) == (False, (5, 4))


@pytest.mark.parametrize("top", [255, 200.5, 20])
def test_floats_in_0_to_255_are_divided(tmp_path, top):
    assert torch.allclose(read_picture(written(tmp_path / "one.tif", RAMP * np.float32(top))), GREY * top / 255)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1.5), (0, 9), (-1, 1), (0, 256), (0, 65535), (-0.01, 200), (0, np.nan), (0, np.inf)]
)
def test_floats_of_which_the_white_is_not_known_are_refused_by_name(tmp_path, low, high):
    values = RAMP.copy()
    values[0, 0], values[-1, -1] = low, high
    with pytest.raises(BadBatches, match=r"one\.tif' has values from .* to .*, of which white is not known; save it"):
        read_picture(written(tmp_path / "one.tif", values))


@pytest.mark.parametrize(("top", "white"), [(255, 255), (90, 255), (65535, 65535), (4095, 65535)])
def test_integers_of_32_bits_are_read_by_their_range(tmp_path, top, white):
    whole = (RAMP * top).astype(np.int32)
    expected = torch.from_numpy(whole)[None] / white
    assert torch.allclose(read_picture(written(tmp_path / "one.tif", whole)), expected)


@pytest.mark.parametrize(("low", "high"), [(0, 300), (-3, 255), (0, 65536), (0, 2**31 - 1)])
def test_other_integers_of_32_bits_are_refused_by_name(tmp_path, low, high):
    values = np.array([[low, high]], dtype=np.int32)
    with pytest.raises(BadBatches, match=rf"one\.tif' has values from {low} to"):
        read_picture(written(tmp_path / "one.tif", values))


@pytest.mark.parametrize("name", ["one.png", "one.tif", "one.pgm"])
@pytest.mark.parametrize("top", [65535, 1000, 200])
def test_pictures_of_16_bits_are_of_65535_however_dark(tmp_path, name, top):
    values = (RAMP * top).astype(np.uint16)
    expected = torch.from_numpy(values.astype(np.float32))[None] / 65535
    assert torch.equal(read_picture(written(tmp_path / name, values)), expected)


@pytest.mark.parametrize("low", [-20, 0])
def test_pictures_of_signed_bytes_are_refused(tmp_path, low):
    file = tiff(tmp_path / "one.tif", np.array([[low, 100]], dtype=np.int8), bits=8, form=2)
    with pytest.raises(BadBatches, match=r"one\.tif' has signed bytes"):
        read_picture(file)


def test_the_tiff_of_these_tests_is_one(tmp_path):
    file = tiff(tmp_path / "one.tif", np.array([[20, 100]], dtype=np.uint8), bits=8, form=1)
    assert torch.equal(read_picture(file), torch.tensor([[[20, 100]]]) / 255)

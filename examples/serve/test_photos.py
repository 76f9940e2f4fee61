"""Photos are decoded as the network takes them; what cannot be, or would take too much, is refused by a status."""

import io

import numpy as np
import pytest
from classifier import Resizing
from photos import Refused, pixels_of
from PIL import Image

SIDE = Resizing((8, 8))


def written(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(height=8, width=8, mode="RGB"):
    values = np.random.default_rng(0).integers(0, 256, (height, width, len(mode)), np.uint8)
    return Image.fromarray(values.squeeze())


def refused(data, **given):
    with pytest.raises(Refused) as error:
        pixels_of(data, SIDE, **({"colours": 3, "most_pixels": 10_000} | given))
    return error.value


def test_an_image_of_the_networks_size_stays_as_it_is():
    pixels = pixels_of(written(noise()), SIDE, 3, 64)
    assert (pixels == np.asarray(noise())).all()
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("resizing", "shape"),
    [
        (Resizing((5, 7)), (5, 7, 3)),
        (Resizing(10), (10, 15, 3)),
        (Resizing(10, (6, 6)), (6, 6, 3)),
        (Resizing((10, 12), 4), (4, 4, 3)),
        (Resizing(), (20, 30, 3)),
    ],
)
def test_it_comes_out_in_the_size_that_the_file_says(resizing, shape):
    assert pixels_of(written(noise(20, 30)), resizing, 3, 600).shape == shape


def test_the_middle_is_cut_out():
    picture = noise(12, 8)
    pixels = pixels_of(written(picture), Resizing((12, 8), (6, 4)), 3, 10_000)
    assert (pixels == np.asarray(picture)[3:9, 2:6]).all()


def test_grey_and_colours_become_what_the_network_takes():
    assert pixels_of(written(noise(mode="RGB")), SIDE, 1, 64).shape == (8, 8, 1)
    assert pixels_of(written(noise(mode="L")), SIDE, 3, 64).shape == (8, 8, 3)


def test_a_photo_comes_upright():
    picture, exif = noise(8, 16), Image.Exif()
    exif[0x0112] = 6  # held with its left side up
    turned = pixels_of(written(picture, exif=exif), Resizing(), 3, 10_000)
    assert (turned == np.rot90(np.asarray(picture), -1)).all()


def test_what_is_no_image_has_415():
    assert refused(b"hello").status == 415
    assert refused(written(noise(), "GIF")).status == 415


def test_too_many_pixels_have_413_before_they_are_decoded():
    whole = written(Image.new("RGB", (200, 100)))
    error = refused(whole[:60])  # the header alone: to decode it would be 422
    assert error.status == 413
    assert "200 x 100" in error.reason


def test_a_damaged_image_has_422():
    assert refused(written(noise(64, 64), "JPEG")[:900]).status == 422


def test_values_whose_white_is_not_known_have_422():
    deep = Image.fromarray(np.zeros((8, 8), np.uint16))
    assert "8 bits" in refused(written(deep)).reason

"""assemble: parts that take their images in other ways: normalised, resized, grey."""

import pytest
import torch

from model_lego.assembly.assembling import assemble
from model_lego.errors import IncompatibleComponents
from model_lego.parts.preprocessing import Preprocessing
from tests.support.components import pixel_part

HALF = Preprocessing(mean=(0.5,), std=(0.25,))


def test_each_part_has_its_own_preprocessing():
    parts = [
        pixel_part("ab", 0, 1, shape=(1, 2, 2), preprocessing=HALF),
        pixel_part("cd", 2, 3, shape=(1, 2, 2), preprocessing=Preprocessing()),
    ]
    image = torch.tensor([[[[0.5, 1.0], [0.25, 0.75]]]], dtype=torch.float64)
    assert assemble(parts)(image).tolist() == [[0, 2, 0.25, 0.75]]


def test_parts_with_and_without_preprocessing_are_refused():
    parts = [pixel_part("ab", 0, 1), pixel_part("cd", 2, 3, preprocessing=Preprocessing())]
    for order in (parts, parts[::-1]):
        with pytest.raises(IncompatibleComponents, match=r"some parts take images scaled to 0\.\.1"):
            assemble(order)


def test_images_of_different_sizes_are_refused_where_nothing_resizes_them():
    for preprocessing in (None, HALF):
        sizes = ((1, 2, 2), (1, 4, 4))
        parts = [pixel_part(n, 0, shape=size, preprocessing=preprocessing) for n, size in zip("ab", sizes, strict=True)]
        with pytest.raises(IncompatibleComponents, match=r"different shapes \[\(1, 2, 2\), \(1, 4, 4\)\]; .*a size"):
            assemble(parts)


def sized(name: str, side: int, *, channels: int = 1, resizes: bool = True):
    """A part that gives the last pixel of an image of its own size."""
    preprocessing = Preprocessing(size=(side, side) if resizes else None)
    return pixel_part(name, channels * side * side - 1, shape=(channels, side, side), preprocessing=preprocessing)


def test_parts_that_resize_take_images_of_any_size():
    images = torch.linspace(0, 1, 2 * 36, dtype=torch.float64).reshape(2, 1, 6, 6)
    parts = [sized("a", 2), sized("b", 3), sized("c", 6)]
    joint = assemble(parts, calibration=[(torch.cat([images, images[:1]]), torch.tensor([0, 1, 2]))], head="concat")
    expected = [[float(one.preprocessing(image[None])[0, 0, -1, -1]) for one in parts] for image in images]
    assert joint(images).tolist() == expected
    assert len(set(expected[0])) == 3


def test_a_part_that_resizes_goes_with_one_that_does_not():
    images = torch.rand(2, 1, 3, 3, dtype=torch.float64)
    assert assemble([sized("a", 3, resizes=False), sized("b", 2)])(images).shape == (2, 2)
    assert assemble([sized("b", 2), sized("a", 3, resizes=False)])(images).shape == (2, 2)


def test_gray_and_coloured_parts_are_refused():
    parts = [sized("a", 2, channels=3), sized("b", 2, channels=1)]
    with pytest.raises(IncompatibleComponents, match="channels"):
        assemble(parts)

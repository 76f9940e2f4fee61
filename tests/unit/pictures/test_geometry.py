"""Geometry: shorter side and middle as torchvision does it, once; the same for images of all sizes when traced."""

import pytest
import torch
from torchvision.transforms import v2

from model_lego.errors import BadConfig
from model_lego.parts.preprocessing import Preprocessing

CROPPED = Preprocessing(size=16, crop=12)
KINDS = [
    CROPPED,
    Preprocessing(size=17, crop=(12, 9), interpolation="bicubic"),
    Preprocessing(size=(20, 24), crop=(12, 14)),
    Preprocessing(size=(9, 7), interpolation="nearest"),
]
SHAPES = [(30, 41), (12, 12), (12, 50), (90, 33), (9, 7), (12, 14)]


def images(height, width):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height * width))


@pytest.mark.parametrize("shape", [(30, 41), (90, 33), (33, 90), (16, 17), (13, 11)])
@pytest.mark.parametrize("preprocessing", KINDS[:2])
def test_shorter_side_and_middle_are_those_of_torchvision(preprocessing, shape):
    how = v2.InterpolationMode(preprocessing.interpolation)
    theirs = v2.Compose([v2.Resize(preprocessing.size, how, antialias=True), v2.CenterCrop(preprocessing.crop)])
    x = images(*shape)
    torch.testing.assert_close(preprocessing(x), theirs(x).clamp(0, 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("preprocessing", KINDS, ids=str)
def test_what_has_the_final_size_stays_as_it_is(preprocessing, shape):
    once = preprocessing(images(*shape))
    assert tuple(once.shape[2:]) == preprocessing.final_size
    assert torch.equal(preprocessing(once), once)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize("example", SHAPES[:3])
@pytest.mark.parametrize("preprocessing", KINDS, ids=str)
def test_traced_with_images_of_one_size_it_serves_all(preprocessing, example):
    traced = torch.jit.trace(preprocessing.resized, (images(*example),))
    for shape in SHAPES:
        torch.testing.assert_close(traced(images(*shape)), preprocessing.resized(images(*shape)), rtol=0, atol=1e-6)


class Resizing(torch.nn.Module):
    def __init__(self, preprocessing):
        super().__init__()
        self.preprocessing = preprocessing

    def forward(self, images):
        return self.preprocessing(images)


@pytest.mark.parametrize("preprocessing", KINDS, ids=str)
def test_exported_with_images_of_any_size_it_serves_all(preprocessing):
    sides = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(Resizing(preprocessing), (images(33, 37),), dynamic_shapes=(sides,)).module()
    for shape in SHAPES:
        torch.testing.assert_close(exported(images(*shape)), preprocessing(images(*shape)), rtol=0, atol=1e-5)


def test_bicubic_values_stay_in_0_to_1():
    sharp = (images(30, 40) > 0.5).float()
    found = Preprocessing(size=50, interpolation="bicubic")(sharp)
    assert (float(found.min()), float(found.max())) == (0, 1)


def test_pixels_are_taken_where_they_are_nearest():
    column = torch.arange(6.0).reshape(1, 1, 1, 6) / 6
    found = Preprocessing(size=(1, 3), interpolation="nearest")(column)
    assert torch.equal(found, column[..., 1::2])


@pytest.mark.parametrize(
    ("given", "final"),
    [
        ({}, None),
        ({"size": 8}, (8, 8)),
        ({"size": [8, 9]}, (8, 9)),
        ({"size": 8, "crop": 6}, (6, 6)),
        ({"size": torch.tensor([8, 9]), "crop": torch.tensor([8, 4])}, (8, 4)),
    ],
)
def test_the_final_size_is_that_of_what_comes_out(given, final):
    preprocessing = Preprocessing(**given)
    assert preprocessing.final_size == final
    assert tuple(preprocessing(images(30, 40)).shape[2:]) == (final or (30, 40))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": 8, "crop": 0}, "height and width in pixels as crop"),
        ({"crop": 8}, r"crops to \(8, 8\), which needs a size"),
        ({"size": 8, "crop": 9}, r"crops \(9, 9\) out of images brought to \(8, 8\), which are smaller"),
        ({"size": (20, 8), "crop": (8, 9)}, r"crops \(8, 9\) out of images brought to \(20, 8\)"),
        ({"size": 8, "interpolation": "lanczos"}, "interpolation 'lanczos'; use one of bilinear, bicubic, nearest"),
    ],
)
def test_what_is_no_geometry_is_refused(given, words):
    with pytest.raises(BadConfig, match=words):
        Preprocessing(**given)


@pytest.mark.parametrize(
    ("preprocessing", "words"),
    [
        (Preprocessing(), "in 0..1"),
        (Preprocessing(0.5, 0.25, size=8), "in 0..1, brought to 8 x 8, then less mean 0.5, by deviation 0.25"),
        (KINDS[1], "in 0..1, shorter side brought to 17 (bicubic), cropped to 12 x 9"),
    ],
)
def test_it_says_in_words_what_it_does(preprocessing, words):
    assert str(preprocessing) == words

"""Preprocessing: numbers in whatever holds them, pixels of 0..255, and what cannot be images in 0..1."""

import numpy as np
import pytest
import torch
from torch import nn

from model_lego import disassemble, evaluate, trace
from model_lego.errors import BadBatches, BadConfig, RefusedError
from model_lego.parts.normalisations import NORMALISATIONS
from model_lego.parts.preprocessing import Preprocessing

THIRDS, HALVES = (0.25, 0.5, 0.75), (0.5, 0.5, 0.5)
IMAGES = torch.rand(30, 3, 8, 8, generator=torch.Generator().manual_seed(1))
PIXELS = (IMAGES * 255).round().to(torch.uint8)
LABELS = torch.arange(30) % 3


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, tuple, lambda values: (v for v in values)])
def test_means_and_deviations_in_whatever_holds_numbers(kind):
    made = Preprocessing(mean=kind(THIRDS), std=kind(HALVES))
    assert made == Preprocessing(THIRDS, HALVES)
    assert hash(made) == hash(Preprocessing(THIRDS, HALVES))
    assert torch.equal(made(IMAGES), Preprocessing(THIRDS, HALVES)(IMAGES))


@pytest.mark.parametrize("one", [0.5, np.float32(0.5), torch.tensor(0.5), [0.5]])
def test_one_number_serves_all_channels(one):
    assert Preprocessing(mean=one, std=one) == Preprocessing((0.5,), (0.5,))


@pytest.mark.parametrize("size", [16, (16, 16), [16, 16], np.array([16, 16]), torch.tensor([16, 16])])
def test_a_size_is_two_sides_or_that_of_a_square(size):
    assert Preprocessing(size=size).size == (16, 16)
    assert Preprocessing(size=size)(IMAGES).shape == (30, 3, 16, 16)


@pytest.mark.parametrize("size", [0, -1, (8,), (8, 8, 8), 8.5, "8", (8, "8")])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(BadConfig, match="height and width in pixels"):
        Preprocessing(size=size)


@pytest.mark.parametrize("mean", ["a", [None], [[0.5]], {"r": 1}])
def test_what_is_no_number_is_refused(mean):
    with pytest.raises(BadConfig, match="numbers as mean"):
        Preprocessing(mean=mean, std=HALVES)


@pytest.mark.parametrize(
    ("mean", "std"), [((123.675, 116.28, 103.53), (58.4, 57.1, 57.4)), (HALVES, (58.4,) * 3), ((127.0,), (0.5,))]
)
def test_a_normalisation_of_pixels_in_0_to_255_is_named(mean, std):
    with pytest.raises(BadConfig, match="divide means and standard deviations by 255"):
        Preprocessing(mean, std)


def test_pixels_of_0_to_255_are_taken_as_such_everywhere():
    preprocessing = Preprocessing(THIRDS, HALVES)
    part = disassemble(network(), [(IMAGES, LABELS)], classes=[0, 2], sampling="all", preprocessing=preprocessing)
    expected = part(PIXELS / 255)
    assert torch.equal(part(PIXELS), expected)
    assert bool(torch.isfinite(expected).all())
    from_pixels = disassemble(
        network(), [(PIXELS, LABELS)], classes=[0, 2], sampling="all", preprocessing=preprocessing
    )
    again = disassemble(
        network(), [(PIXELS / 255, LABELS)], classes=[0, 2], sampling="all", preprocessing=preprocessing
    )
    assert torch.equal(from_pixels(PIXELS), again(PIXELS))
    mine = LABELS != 1
    report = evaluate(part, [(PIXELS[mine], LABELS[mine] // 2)])
    assert report.accuracy == evaluate(part, [(PIXELS[mine] / 255, LABELS[mine] // 2)]).accuracy


@pytest.mark.parametrize("images", [255 * IMAGES, -300 * IMAGES, (255 * IMAGES).double()])
def test_floats_far_beyond_0_to_1_are_named(images):
    preprocessing = Preprocessing(THIRDS, HALVES)
    part = disassemble(network(), [(IMAGES, LABELS)], classes=[0, 2], sampling="all", preprocessing=preprocessing)
    with pytest.raises(BadBatches, match=r"scaled to 0..1 are normalised: divide them by 255"):
        part(images)
    with pytest.raises(BadBatches, match=r"scaled to 0..1 are normalised: divide them by 255"):
        disassemble(network(), [(images, LABELS)], classes=[0, 2], sampling="all", preprocessing=preprocessing)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int16, torch.bool])
def test_other_integers_are_refused(dtype):
    with pytest.raises(BadBatches, match=r"give uint8 in 0..255, or floats"):
        Preprocessing(THIRDS, HALVES)(IMAGES.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_images_of_another_precision_are_taken_in_that_of_the_network(dtype):
    part = disassemble(network(), [(IMAGES.to(dtype), LABELS)], classes=[0, 2], sampling="all")
    torch.testing.assert_close(part(IMAGES.to(dtype)), part(IMAGES.to(dtype).float()))
    assert part(IMAGES.to(dtype)).dtype == torch.float32


def test_a_network_without_values_is_refused():
    with pytest.raises(RefusedError, match=r"'0.weight' is on the meta device"):
        trace(network().to("meta"), IMAGES)
    with pytest.raises(RefusedError, match="load the weights first"):
        disassemble(network().to("meta"), [(IMAGES, LABELS)], classes=[0, 2])


def test_pixels_of_0_to_255_are_refused_where_nobody_says_how_to_scale_them():
    with pytest.raises(BadBatches, match="the images are uint8"):
        disassemble(network(), [(PIXELS, LABELS)], classes=[0, 2])


@pytest.mark.parametrize(("name", "channels"), [("imagenet", 3), ("clip", 3), ("half", 1)])
def test_a_name_stands_for_mean_and_deviation(name, channels):
    made = Preprocessing(mean=name)
    assert made == Preprocessing(std=name) == Preprocessing(name, name) == Preprocessing(*NORMALISATIONS[name])
    assert len(made.mean) == len(made.std) == channels
    assert Preprocessing(name, (1.0,) * channels).std == (1.0,) * channels


def test_an_unknown_name_brings_those_that_are():
    with pytest.raises(BadConfig, match="or imagenet, clip, half, not 'image-net'"):
        Preprocessing(mean="image-net")

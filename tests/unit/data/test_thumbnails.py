"""Small copies of images for pages, and the samples that they are taken from."""

import pytest
import torch

from model_lego.data import open_data
from model_lego.data.batching import called, sampled
from model_lego.data.sets import batches, in_memory
from model_lego.data.thumbnails import can_be_shown, thumbnail


@pytest.mark.parametrize(
    ("shape", "small"),
    [((1, 28, 28), (1, 28, 28)), ((3, 96, 96), (3, 96, 96)), ((3, 400, 200), (3, 96, 48)), ((3, 2, 500), (3, 1, 96))],
)
def test_only_large_images_are_made_smaller_and_keep_their_form(shape, small):
    found = thumbnail(torch.rand(shape))
    assert found.dtype == torch.uint8
    assert found.shape == small


def test_values_of_0_to_1_are_kept_and_those_beyond_are_stretched():
    image = torch.tensor([[[0.2, 0.4], [0.6, 1.0]]], dtype=torch.float64)
    assert thumbnail(image).tolist() == [[[51, 102], [153, 255]]]
    assert thumbnail(image + 0.01).tolist() == [[[54, 105], [156, 255]]]  # a little beyond, by rounding
    assert thumbnail(2 * image - 1).tolist() == [[[0, 64], [127, 255]]]


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((1, 28, 28), True),
        ((3, None, None), True),
        ((4, 8, 8), False),
        ((2, 8, 8), False),
        ((3, 8), False),
        ((7,), False),
    ],
)
def test_pictures_are_grey_or_of_three_colours(shape, shown):
    assert can_be_shown(shape) == shown


def test_a_sample_knows_where_its_images_stand_among_all():
    labels = torch.arange(40) % 4
    pixels = torch.arange(40.0).reshape(-1, 1, 1, 1)
    whole = batches(in_memory(pixels, labels), batch_size=3)
    some, number_of = sampled(whole, 10, 0)
    values = torch.cat([images for images, _ in some]).flatten().tolist()
    assert [number_of(place) for place in range(10)] == values == sorted(set(values))
    assert values != list(range(10))
    assert torch.cat([numbers for _, numbers in some]).tolist() == [int(value) % 4 for value in values]
    assert sampled(whole, 10, 1)[1](3) != number_of(3)
    of_two, number_of = sampled(whole.only([1, 3]), 100, 0)
    assert [number_of(place) for place in range(20)] == list(range(1, 40, 2))
    assert sum(len(images) for images, _ in of_two) == 20


def test_images_are_called_by_their_files_else_by_their_numbers(tmp_path):
    from PIL import Image

    for name in ("b ü.png", "a.png", "c.png"):
        for part in ("train", "val"):
            (tmp_path / part / "class").mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4)).save(tmp_path / part / "class" / name)
    files = batches(open_data(str(tmp_path)).test)
    assert [called(files)(place) for place in range(3)] == ["a.png", "b ü.png", "c.png"]
    whole = in_memory(torch.arange(9.0).reshape(-1, 1, 1, 1), torch.zeros(9, dtype=torch.int64))
    mixed = batches(whole, shuffle_seed=1)
    values = torch.cat([images for images, _ in mixed]).flatten().tolist()
    assert [called(mixed)(place) for place in range(9)] == [f"no. {int(value)}" for value in values]
    some, number_of = sampled(mixed, 4, 0)
    found = torch.cat([images for images, _ in some]).flatten().tolist()
    assert [called(mixed)(number_of(place)) for place in range(4)] == [f"no. {int(value)}" for value in found]
    assert called([])(3) == "no. 3"


def test_other_batches_are_taken_as_they_come():
    given = [(torch.rand(2, 1, 4, 4), torch.tensor([0, 1]))]
    some, number_of = sampled(given, 1, 0)
    assert some is given
    assert number_of(1) == 1

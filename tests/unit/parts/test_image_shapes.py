"""Which images a part takes: channels always as they are, sizes where nothing resizes them, and alike in every verb."""

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.errors import ShapeMismatch
from model_lego.parts.image_shapes import check_shape, common_preprocessing, filled, noise_of, taken, taken_by
from model_lego.parts.preprocessing import Preprocessing
from model_lego.report import confusion
from tests.support.components import pixel_part, random_batch

QUICK = ml.TrainingSettings(epochs=1, batch_size=4, crop=0, flip=False)
RESIZED = Preprocessing(size=(2, 2))


def part(classes="ab", *, shape=(1, 2, 2), preprocessing=RESIZED):
    return pixel_part(classes, 0, 1, shape=shape, preprocessing=preprocessing)


def images(*shape, count=8, classes=2):
    labels = torch.arange(count) % classes
    bright = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return bright, labels


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        (None, (3, 8, 9)), (Preprocessing((0.5,), (0.2,)), (3, 8, 9)), (Preprocessing(size=(8, 9)), (3, None, None)),
        (Preprocessing(size=9, crop=8), (3, None, None)),
    ],
)  # fmt: skip
def test_a_network_takes_its_channels_and_any_size_where_images_are_resized(preprocessing, expected):
    assert taken((3, 8, 9), preprocessing) == expected


def test_the_first_part_that_does_not_resize_decides():
    loose, tight = part(), part("cd", shape=(1, 3, 3), preprocessing=Preprocessing())
    assert taken_by(loose) == taken_by(loose, loose) == (1, None, None)
    assert taken_by(loose, tight) == taken_by(tight, loose) == taken_by(ml.assemble([loose, tight])) == (1, 3, 3)


def test_images_of_several_sizes_are_brought_to_the_largest_that_parts_resize_to():
    small, large = part(), part("cd", shape=(1, 2, 3), preprocessing=Preprocessing(size=(2, 3)))
    cropped = Preprocessing(size=9, crop=3, interpolation="bicubic")
    assert common_preprocessing(small) == RESIZED
    assert (
        common_preprocessing(small, large) == common_preprocessing(ml.assemble([large, small])) == large.preprocessing
    )
    assert common_preprocessing(small, part(preprocessing=cropped)) == cropped
    assert common_preprocessing(small, part(preprocessing=Preprocessing())) is None
    assert common_preprocessing(part(preprocessing=None)) is None


def test_single_pictures_come_in_the_size_of_the_network_where_nothing_else_is_said():
    assert filled(None, (1, 8, 9)) == Preprocessing(size=(8, 9))
    assert filled(Preprocessing(0.5, 0.25), (1, 8, 9)) == Preprocessing(0.5, 0.25, size=(8, 9))
    assert filled(RESIZED, (1, 8, 9)) is RESIZED


@pytest.mark.parametrize("shape", [(3, 8, 9), (3, None, 9), (3, None, None), (None, None, None)])
def test_images_that_fit_pass(shape):
    check_shape("images", torch.zeros(2, 3, 8, 9), shape)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, None, None), r"these have shape \(3, 8, 9\), but the network takes \(1, any, any\) \(channels x height x"),
        ((3, 8, 8), r"\(3, 8, 9\), but the network takes \(3, 8, 8\)"),
        ((3, 8), r"takes \(3, 8\)"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, words):
    with pytest.raises(ShapeMismatch, match=words):
        check_shape("these", torch.zeros(2, 3, 8, 9), shape)


def test_noise_is_always_the_same():
    assert torch.equal(noise_of((3, 4)), noise_of((3, 4)))
    assert noise_of((3, 4)).shape == (2, 3, 4)
    assert 0 <= noise_of((3, 4)).min() < noise_of((3, 4)).max() < 1


def assembled(one, batches):
    return ml.assemble([one], calibration=batches)


def taught(one, batches):
    return ml.distill(one, part(shape=(1, 2, 2)), batches, QUICK)


VERBS = {
    "evaluate": ml.evaluate,
    "assemble": assembled,
    "finetune": lambda one, batches: ml.finetune(one, batches, QUICK),
    "distill": taught,
    "confusion": confusion,
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_verb_takes_other_sizes_where_they_are_resized_but_no_other_channels(verb):
    verb(part(), [images(1, 5, 6)])
    with pytest.raises(ShapeMismatch, match=r"batch 1 have shape \(3, 5, 6\), but the network takes \(1, any, any\)"):
        verb(part(), [images(1, 5, 6), images(3, 5, 6)])


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_verb_refuses_other_sizes_where_nothing_resizes_them(verb):
    verb(part(preprocessing=None), [images(1, 2, 2)])
    with pytest.raises(ShapeMismatch, match=r"batch 1 have shape \(1, 2, 3\), but the network takes \(1, 2, 2\)"):
        verb(part(preprocessing=None), [images(1, 2, 2), images(1, 2, 3)])


def test_a_training_that_mixes_images_refuses_several_sizes_at_the_first_reading():
    said = []
    with pytest.raises(ShapeMismatch, match=r"batch 1 have shape \(1, 6, 6\), but training mixes .* here \(1, 5, 6\)"):
        ml.finetune(part(), [images(1, 5, 6), images(1, 6, 6)], QUICK, progress=lambda what, *_: said.append(what))
    assert set(said) == {"reading images"}


def test_a_teacher_that_does_not_resize_decides_for_a_student_that_does():
    class Mean(nn.Module):
        """Takes any size."""

        def forward(self, x):
            return torch.cat([x, -x], 1).mean((2, 3))

    teacher = part(preprocessing=None)
    teacher.module = Mean()
    ml.distill(teacher, part(), [images(1, 2, 2)], QUICK)
    with pytest.raises(ShapeMismatch, match=r"takes \(1, 2, 2\)"):
        ml.distill(teacher, part(), [images(1, 3, 3)], QUICK)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_preprocessing_refuses_other_channels_than_it_has_means(channels):
    three = Preprocessing((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    with pytest.raises(ShapeMismatch, match=rf"shape \({channels}, 4, 4\), but the preprocessing has 3 means"):
        three(torch.zeros(2, channels, 4, 4))
    assert three(torch.zeros(2, 3, 4, 4)).shape == (2, 3, 4, 4)


def test_one_mean_serves_all_channels():
    x, _ = random_batch(2, seed=0)
    assert torch.allclose(Preprocessing((0.5,), (0.25,))(x), 4 * x - 2)

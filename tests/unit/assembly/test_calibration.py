"""assemble: the images that an assembly is calibrated with, and what their labels mean."""

import pytest
import torch

from model_lego.assembly.assembling import assemble
from model_lego.errors import BadBatches, BadConfig, ShapeMismatch, UnknownClass
from tests.support.components import batch, pair, random_batch, tinted, tiny_part


def test_class_names_say_what_the_labels_mean():
    images, labels = random_batch(80, seed=1)
    plain = assemble(pair(), calibration=[(images, labels)])
    names = ["d", "stranger", "b", "a", "c"]
    renamed = torch.tensor([names.index("abcd"[label]) for label in labels])
    strangers = batch(100 * torch.ones(7, 4), [1] * 7)
    named = assemble(pair(), calibration=[strangers, (images, renamed), strangers], class_names=names)
    assert named.settings["calibration_images"] == plain.settings["calibration_images"] == 80
    assert torch.equal(named.head.weight, plain.head.weight)
    assert torch.equal(named(images), plain(images))


def test_how_calibration_images_are_batched_does_not_matter():
    images, labels = random_batch(600, seed=1)
    whole, pieces = (
        assemble(pair(), calibration=list(zip(images.split(size), labels.split(size), strict=True)), scaling="logit")
        for size in (600, 7)
    )
    assert torch.equal(whole.head.weight, pieces.head.weight)


def test_a_class_without_a_calibration_image_is_refused():
    images, labels = random_batch(8, seed=0, classes=3)
    with pytest.raises(UnknownClass, match="no calibration image of class 'd'"):
        assemble(pair(), calibration=[(images, labels)])
    with pytest.raises(UnknownClass, match="no class 'c'; class_names has to name it"):
        assemble(pair(), calibration=[(images, labels)], class_names=["a", "b", "d"])


def test_bad_calibration_images_are_refused():
    images, labels = random_batch(8, seed=0)
    with pytest.raises(BadBatches, match="label 4 of batch 0 is out of range: there are 4 classes"):
        assemble(pair(), calibration=[(images, labels + 1)])
    with pytest.raises(BadBatches, match="empty"):
        assemble(pair(), calibration=[])
    with pytest.raises(ShapeMismatch, match=r"shape \(4, 2, 1\), but the network takes \(4, 1, 1\)"):
        assemble(pair(), calibration=[(images.repeat(1, 1, 2, 1), labels)])


def test_a_one_shot_generator_is_refused_and_not_read():
    generator = (pair for pair in [random_batch(8, seed=0)])
    with pytest.raises(BadBatches, match="one-shot generator"):
        assemble(pair(), calibration=generator)
    assert len(list(generator)) == 1


@pytest.mark.parametrize("options", [{"head": "affine"}, {"scaling": "logit"}, {"scaling": "layer"}])
def test_what_is_fitted_needs_calibration_images(options):
    with pytest.raises(BadConfig, match="needs calibration images; give calibration="):
        assemble(pair(), **options)


@pytest.mark.parametrize("head", ["affine", "ridge", "lda", "blend", "auto"])
def test_with_labels_of_parts_an_image_has_the_class_that_its_part_takes_it_for(head):
    images, labels = tinted(80)
    parts = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((6, "ab"), (8, "cd"))]
    owners = labels // 2
    own = [part(images).argmax(1) + 2 * number for number, part in enumerate(parts)]
    pseudo = torch.where(owners == 0, *own)
    assert 0 < int((pseudo != labels).sum()) < 80
    joint = assemble(parts, calibration=[(images, owners)], labels="parts", head=head)
    named = assemble(parts, calibration=[(images, pseudo)], head=head)
    assert torch.equal(joint(images), named(images))
    assert joint.settings["calibration_labels"] == "parts"


def test_labels_of_parts_that_say_too_little_are_refused():
    images, labels = random_batch(8, seed=0, signal=20.0)
    with pytest.raises(UnknownClass, match="no calibration image of part 2; give some, with the label 1"):
        assemble(pair(), calibration=[(images[:2], labels[:2] // 2)], labels="parts")
    with pytest.raises(
        UnknownClass, match="no calibration image of class 'd', that is, none that its part takes for it"
    ):
        assemble(pair(), calibration=[(images[:3], labels[:3] // 2)], labels="parts")
    with pytest.raises(BadConfig, match="leave class_names out"):
        assemble(pair(), calibration=[(images, labels // 2)], labels="parts", class_names=list("abcd"))

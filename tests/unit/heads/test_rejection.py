"""assemble: the class for images that are none of the parts' classes."""

import pytest
import torch

from model_lego import evaluate
from model_lego.assembly.assembling import assemble
from model_lego.errors import BadConfig, ClassClash
from model_lego.parts.assembly import NONE_OF_THESE
from tests.support.components import batch, pair, pixel_part, random_batch, right, tinted, tiny_part


def test_at_most_the_share_of_the_calibration_images_is_rejected():
    images, labels = random_batch(200, seed=0)
    largest = images.flatten(1).max(1).values.sort().values
    for share, rejected in ((0.05, 10), (0.1, 20), (0.001, 0)):
        joint = assemble(pair(), calibration=[(images, labels)], head="concat", outsiders=share)
        assert joint.classes == ("a", "b", "c", "d", NONE_OF_THESE)
        assert int((joint(images).argmax(1) == 4).sum()) == rejected
        assert joint.settings["outsiders"] == {"share": share, "threshold": float(largest[rejected])}
        assert torch.equal(joint(images)[:, :4], images.flatten(1))


def test_images_below_the_threshold_are_none_of_these():
    images, labels = random_batch(200, seed=0)
    joint = assemble(pair(), calibration=[(images, labels)], head="concat", outsiders=0.05)
    level = joint.settings["outsiders"]["threshold"]
    dim, bright = batch([[level - 0.1] * 4, [0, level + 0.1, 0, 0]], [0, 0])[0].split(1)
    assert [joint.classes[int(joint(one).argmax())] for one in (dim, bright)] == [NONE_OF_THESE, "b"]


def test_the_threshold_is_of_scores_by_fits_that_had_not_seen_the_images():
    """A fit of 40 images on as many features gives their own targets back; on other images it is less sure."""
    images, labels = tinted(40)
    parts = [tiny_part("view_constant", seed=seed, names=names, share=1.0) for seed, names in ((1, "ab"), (2, "cd"))]
    joint = assemble(parts, calibration=[(images, labels)], head="ridge", outsiders=0.25)
    own = joint(images)[:, :4].max(1).values
    assert float((own < joint.settings["outsiders"]["threshold"]).double().mean()) < 0.15
    other = joint(tinted(400, seed=3)[0])[:, :4].max(1).values
    assert 0.1 < float((other < joint.settings["outsiders"]["threshold"]).double().mean()) < 0.4


@pytest.mark.parametrize("share", [0, 1, -0.1, 2, float("nan")])
def test_shares_that_make_no_sense_are_refused(share):
    with pytest.raises(BadConfig, match="between 0 and 1"):
        assemble(pair(), calibration=[random_batch(40, seed=0)], outsiders=share)


def test_outsiders_need_calibration_images_and_a_free_name():
    with pytest.raises(BadConfig, match="needs calibration images; give calibration="):
        assemble(pair(), outsiders=0.05)
    parts = [pixel_part(["a", NONE_OF_THESE], 0, 1), pixel_part("b", 2)]
    with pytest.raises(ClassClash, match=f"a class '{NONE_OF_THESE}' already"):
        assemble(parts, calibration=[random_batch(40, seed=0, classes=3)], outsiders=0.05)
    assert assemble(parts).classes == ("a", NONE_OF_THESE, "b")


def test_an_assembly_with_a_class_for_outsiders_is_evaluated_with_and_without_names():
    images, labels = random_batch(100, seed=0)
    joint = assemble(pair(), calibration=[(images, labels)], head="concat", outsiders=0.05)
    named = evaluate(joint, [(images, labels)], class_names=list("abcd"))
    assert named.accuracy == evaluate(joint, [(images, labels)]).accuracy == pytest.approx(right(joint, images, labels))
    assert named.counts[-1] == 0

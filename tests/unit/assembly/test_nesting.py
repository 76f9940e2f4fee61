"""Assemblies inside assemblies: a part whose logits are taken as they are."""

import pytest
import torch

import model_lego as ml
from model_lego import assemble, evaluate
from model_lego.digest import SEEN
from model_lego.errors import IncompatibleComponents
from model_lego.evaluation.costs import part_cost
from model_lego.evaluation.leakage import overlap_with
from model_lego.parts.assembly import leaves, numbered
from tests.support.components import batch, pair, pixel_part, random_batch, tinted, tiny_part

ROWS = [[3.0, 1.0, 2.0, -2.0], [0.5, 7.0, 1.0, 4.0]]


def inner(**options):
    """The classes d, pet (a and c) and b, and none of these: fitted to images."""
    images = random_batch(80, seed=0)
    options = {"calibration": [images], "class_names": list("abcd"), "outsiders": 0.1, "head": "affine"} | options
    return assemble(pair(), groups={"pet": ["a", "c"]}, order=["d", "pet", "b"], **options)


def test_the_logits_of_an_assembly_inside_are_its_own_without_none_of_these():
    part, other = inner(), pixel_part("ef", 0, 3)
    joint, images = assemble([part, other]), batch(ROWS, [0, 0])[0]
    assert joint.classes == ("d", "pet", "b", "e", "f")
    assert torch.equal(joint(images), torch.cat([part(images)[:, :3], other(images)], 1))
    assert [number for number, _ in numbered(joint)] == ["1.1", "1.2", "2"]
    assert len(list(leaves(joint))) == 3
    assert "'none of these' of part 1 is left out" in joint.record.advice
    assert joint.aliases() == {"a": "pet", "c": "pet"}


def test_the_one_that_is_given_is_left_alone():
    part = inner()
    before = part(batch(ROWS, [0, 0])[0])
    joint = assemble([part, pixel_part("ef", 0, 3)])
    joint.parts[0].parts[0].module.gain.data.zero_()
    assert torch.equal(part(batch(ROWS, [0, 0])[0]), before)


def test_a_head_is_fitted_to_its_logits_and_outsiders_are_new():
    part, other = inner(), pixel_part("ef", 0, 3)
    images, labels = random_batch(80, seed=1)
    names = ["a", "b", "e", "d"]  # of which the assembly inside counts a as pet
    joint = assemble(
        [part, other],
        calibration=[(images, labels), (images + 1, labels + 4)],
        outsiders=0.2,
        class_names=[*names, "f", "x", "y", "z"],
    )
    assert joint.classes == ("d", "pet", "b", "e", "f", "none of these")
    assert joint.head.kind in ("affine", "concat")
    assert "part 1 is an assembly, whose logits are taken as they are" in joint.record.cross_validation.no_features
    assert joint.record.advice == ""
    assert joint.record.verdict is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "padded"}, "part 1 is an assembly, and layout 'padded' takes components"),
        ({"scaling": "layer"}, "part 1 is an assembly, and scaling 'layer' takes components"),
        ({"head": "ridge"}, "head 'ridge' reads features: part 1 is an assembly, .*use head='affine'"),
    ],
)
def test_what_needs_networks_is_refused(options, words):
    images, labels = random_batch(60, seed=0, classes=3)
    calibration = None if "layout" in options else [(images, labels)]
    with pytest.raises(IncompatibleComponents, match=words):
        assemble([inner()], calibration=calibration, **options)


def test_groups_of_groups_count_what_is_in_them():
    joint = assemble([inner(), pixel_part("e", 0)], groups={"animal": ["pet", "e"]})
    assert joint.classes == ("d", "animal", "b")
    images, labels = batch([[9, 0, 0, 0], [0, 0, 9, 0], [0, 0, 0, 9]], [0, 2, 3])
    report = evaluate(joint, [(images, labels)], class_names=["a", "b", "c", "d", "e"])
    assert (report.counts, report.accuracy) == ((1, 2, 0), 100.0)
    assert [(one.classes, one.samples) for one in report.parts] == [(("d", "animal", "b"), 3), (("animal",), 0)]


def test_cost_and_calibration_images_are_those_of_all_that_is_inside():
    part = inner()
    joint = assemble([part, pixel_part("ef", 0, 3)])
    assert part_cost(joint).macs == part_cost(part).macs > 0
    seen = overlap_with(joint).seen
    assert list(seen) == ["part 1"]
    assert len(seen["part 1"]) == 80
    assert joint.parts[0].settings[SEEN]


def tiny_nested(**options):
    inside = [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]
    other = tiny_part("plain", seed=3, names="efg", logits=(0, 1, 2), share=0.6)
    return assemble([assemble(inside, groups={"pet": ["a", "c"]}), other], **options)


def test_classes_go_out_of_the_assembly_inside():
    joint, (images, _) = tiny_nested(), tinted(8)
    small = ml.remove_classes(joint, ["pet", "e"])
    assert small.classes == ("b", "d", "f", "g")
    assert [part.classes for part in small.parts] == [("b", "d"), ("f", "g")]
    kept = [joint.classes.index(name) for name in small.classes]
    assert torch.allclose(small(images), joint(images)[:, kept], rtol=1e-10)
    assert ml.remove_classes(joint, ["pet", "b", "d"]).classes == ("e", "f", "g")


def test_an_assembly_is_added_and_takes_a_place():
    part = inner()
    joint = ml.add_classes(pixel_part("e", 0), part)
    assert joint.classes == ("e", "d", "pet", "b")
    swapped = ml.replace_part(joint, "pet", pixel_part("x", 1))
    assert swapped.classes == ("e", "x")
    fitted = inner()
    assert ml.add_classes(fitted, assemble([pixel_part("xy", 0, 1)])).classes == (
        "d",
        "pet",
        "b",
        "x",
        "y",
        "none of these",
    )


def test_all_of_it_is_trained_and_noted():
    images, labels = tinted(12, classes=3)
    joint = tiny_nested()
    tuned = ml.finetune(joint, [(images, labels)], ml.TrainingSettings(epochs=1), class_names=list("abedfg"))
    assert all("finetuned" in leaf.origin.settings for leaf in leaves(tuned))
    assert not torch.equal(tuned(images), joint(images))

"""Classes in groups and in an order: what heads are fitted to, and what is measured as one class."""

import numpy as np
import pytest
import torch

import model_lego as ml
from model_lego import assemble, evaluate
from model_lego.errors import BadConfig, ClassClash, UnknownClass
from model_lego.report import confusion
from tests.support.components import batch, pair, pixel_part, random_batch, shared, tinted, tiny_part
from tests.support.tiny_models import planted

KINDS = ["concat", "affine", "ridge", "lda", "blend"]
ACROSS, WITHIN = {"pet": ["a", "c"]}, {"pet": ["c", "d"]}
ROWS = [[3.0, 1.0, 2.0, -2.0], [0.5, 7.0, 1.0, 4.0]]


def summed(assembly, images, groups, classes):
    """Probabilities of classes, of a group those of its members together."""
    shares = dict(zip(assembly.classes, assembly(images).softmax(1).T, strict=True))
    return torch.stack([sum(shares[member] for member in groups.get(name, [name])) for name in classes], 1)


def tiny_pair():
    return [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]


@pytest.mark.parametrize("groups", [ACROSS, WITHIN], ids=["across", "within"])
@pytest.mark.parametrize("head", KINDS)
def test_where_images_tell_the_members_apart_groups_are_sums_of_the_assembly_without(head, groups):
    images, labels = tinted(80)
    plain = assemble(tiny_pair(), calibration=[(images, labels)], head=head)
    made = assemble(tiny_pair(), calibration=[(images, labels)], class_names=list("abcd"), head=head, groups=groups)
    expected = summed(plain, images, groups, made.classes)
    assert torch.allclose(made(images).softmax(1), expected, rtol=1e-8)
    assert made.terms == plain.classes


@pytest.mark.parametrize("groups", [ACROSS, WITHIN], ids=["across", "within"])
@pytest.mark.parametrize("head", KINDS[:-1])
def test_where_images_name_the_group_the_head_is_fitted_to_it(head, groups):
    images, labels = tinted(80)
    names = [next((name for name, members in groups.items() if letter in members), letter) for letter in "abcd"]
    made = assemble(tiny_pair(), calibration=[(images, labels)], class_names=names, head=head, groups=groups)
    assert set(made.classes) == set(names)
    assert made.head.kind == head
    assert made(images).shape == (80, 3)
    places = torch.tensor([made.classes.index(name) for name in names])[labels]
    plain = assemble(tiny_pair(), calibration=[(images, labels)], class_names=names, head="concat", groups=groups)
    loss = torch.nn.functional.cross_entropy
    if head != "ridge":  # whose scores are no logits
        assert loss(made(images), places) <= loss(plain(images), places) + 1e-7
    assert evaluate(made, [(images, places)]).accuracy >= evaluate(plain, [(images, places)]).accuracy


def test_a_blend_of_heads_needs_images_of_each_member():
    images, labels = tinted(80)
    options = {"calibration": [(images, labels)], "class_names": ["pet", "b", "pet", "d"], "groups": ACROSS}
    with pytest.raises(BadConfig, match=r"head 'blend' needs calibration images of each member of group 'pet'"):
        assemble(tiny_pair(), head="blend", **options)


def test_labels_are_positions_in_the_classes_with_their_groups_and_order():
    images, labels = random_batch(60, seed=0, classes=3)
    made = assemble(pair(), calibration=[(images, labels)], groups=ACROSS, order=["d", "pet", "b"], head="affine")
    assert made.classes == ("d", "pet", "b")
    assert evaluate(made, [(images, labels)]).counts == (20, 20, 20)


def test_images_of_some_members_only_count_as_the_group():
    images, labels = random_batch(60, seed=0, classes=3)  # no image of d
    made = assemble(pair(), calibration=[(images, labels)], class_names=list("abcd"), groups=WITHIN, head="affine")
    assert made.classes == ("a", "b", "pet")


def test_images_of_members_and_of_the_group_count_together():
    images, labels = random_batch(80, seed=0)
    made = assemble(pair(), calibration=[(images, labels)], class_names=["a", "b", "c", "pet"], groups=WITHIN)
    assert made.classes == ("a", "b", "pet")
    with pytest.raises(UnknownClass, match="the calibration images have no class 'pet'"):
        assemble(pair(), calibration=[(images, labels)], class_names=["a", "b", "x", "y"], groups=WITHIN)


@pytest.mark.parametrize("head", KINDS)
def test_an_order_changes_nothing_but_the_order(head):
    images, labels = tinted(80)
    options = {"calibration": [(images, labels)], "class_names": list("abcd"), "head": head, "outsiders": 0.1}
    plain, made = assemble(tiny_pair(), **options), assemble(tiny_pair(), order="c,a,d,b", **options)
    assert made.classes == ("c", "a", "d", "b", "none of these")
    assert torch.equal(made(images), plain(images)[:, [2, 0, 3, 1, 4]])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"order": ["a", "b"]}, BadConfig, "the order leaves out 'c', 'd'; it names all classes, each once"),
        ({"order": "abca"}, UnknownClass, "no class 'abca'"),
        ({"order": ["a", "a", "b", "c"]}, UnknownClass, "named twice: 'a'"),
        ({"order": ["a", "b", "c", "d"], "groups": ACROSS}, UnknownClass, "no class 'c'|no class 'a'"),
        ({"groups": {"pet": ["a", "cat"]}}, UnknownClass, "no class 'cat'"),
        ({"groups": {"pet": ["a"], "dog": ["a", "b"]}}, BadConfig, "class 'a' is in two groups, 'pet' and 'dog'"),
        ({"groups": {"b": ["a", "c"]}}, BadConfig, "group 'b' has the name of a class that is not in it"),
        ({"groups": {"none of these": ["a"]}}, BadConfig, "name it, not 'none of these'"),
        ({"groups": {"pet": []}}, ml.LegoError, "no class was chosen"),
    ],
)
def test_orders_and_groups_that_there_are_not(options, error, words):
    with pytest.raises(error, match=words):
        assemble(pair(), **options)


def test_a_group_may_have_the_name_of_a_member_and_members_have_numbers():
    made = assemble(pair(), groups={"a": ["a", 2]})
    assert (made.classes, made.groups) == (("a", "b", "d"), {"a": ("a", "c")})


def test_none_of_these_competes_with_the_group():
    images, labels = random_batch(80, seed=0)
    made = assemble(pair(), calibration=[(images, labels)], class_names=list("abcd"), groups=WITHIN, outsiders=0.25)
    assert made.classes == ("a", "b", "pet", "none of these")
    rejected = (made(images).argmax(1) == 3).double().mean()
    assert 0.15 < rejected < 0.35


def test_a_class_of_two_parts_in_a_group():
    images = batch(ROWS, [0, 0])[0]
    made = assemble(shared(), on_clash="prefer", groups={"pet": ["b", "c"]})
    assert made.classes == ("a", "pet")
    assert torch.allclose(made(images)[:, 1], images.flatten(1)[:, [1, 2]].logsumexp(1))


# ------------------------------------------------------------------------------------------------------------ measured


def test_images_of_members_and_of_the_group_are_measured_as_one_class():
    joint = assemble(pair(), groups=ACROSS)  # pet: pixels 0 and 2
    images, labels = batch([[5, 0, 1, 0], [0, 0, 4, 0], [0, 6, 0, 0], [0, 1, 0, 9], [3, 0, 0, 1]], [0, 2, 1, 3, 4])
    report = evaluate(joint, [(images, labels)], class_names=["a", "b", "c", "d", "pet"])
    assert (report.classes, report.counts, report.accuracy) == (("pet", "b", "d"), (3, 1, 1), 100.0)
    first, second = report.parts
    assert (first.classes, first.samples) == (("pet", "b"), 3)  # an a, a b and the one that is only called pet
    assert (second.classes, second.samples) == (("pet", "d"), 3)
    assert (first.own, second.own) == (100.0, pytest.approx(200 / 3))
    counted = confusion(joint, [(images, labels)], class_names=["a", "b", "c", "d", "pet"])
    assert counted.counts.tolist() == [[3, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_uncut_sources_are_merged_and_ordered_as_the_assembly():
    source, images, labels, _ = planted(4)
    names = [f"c{number}" for number in range(4)]
    parts = [
        ml.disassemble(
            source, [(images, labels)], classes=classes, class_names=names, repair="none", thresholds=ml.Thresholds()
        )
        for classes in (["c0", "c1"], ["c2", "c3"])
    ]
    joint = assemble(parts, groups={"pet": ["c0", "c2"]}, order=["c3", "pet", "c1"])
    uncut = ml.ensemble([(source, part) for part in parts], assembly=joint)
    logits = source(images)
    expected = torch.stack([logits[:, 3], logits[:, [0, 2]].logsumexp(1), logits[:, 1]], 1)
    assert torch.allclose(uncut.logits(images), expected)
    assert evaluate(joint, [(images, labels)], class_names=names, baselines=[uncut]).rows[1].name == "sources"
    with pytest.raises(BadConfig, match="no source has class 'c3' of the assembly"):
        ml.ensemble([(source, parts[0])], assembly=joint)


# ------------------------------------------------------------------------------------------------------------- surgery


def test_a_group_is_removed_as_one_and_the_order_stays():
    joint = assemble(tiny_pair(), groups=ACROSS, order=["d", "pet", "b"])
    small = ml.remove_classes(joint, "pet")
    assert (small.classes, small.groups, small.owned()) == (("d", "b"), {}, [("b",), ("d",)])
    other = ml.remove_classes(joint, ["b"])
    assert (other.classes, other.groups) == (("d", "pet"), {"pet": ("a", "c")})
    images, _ = tinted(8)
    assert torch.allclose(other(images), joint(images)[:, :2], rtol=1e-10)
    with pytest.raises(UnknownClass, match="no class 'a'"):
        ml.remove_classes(joint, "a")


@pytest.mark.parametrize("head", ["affine", "ridge"])
@pytest.mark.parametrize("names", [list("abcd"), ["pet", "b", "pet", "d"]], ids=["members", "group"])
def test_a_fitted_head_keeps_its_groups_where_a_class_goes(head, names):
    images, labels = tinted(80)
    joint = assemble(tiny_pair(), calibration=[(images, labels)], class_names=names, head=head, groups=ACROSS)
    small = ml.remove_classes(joint, "b")
    assert (small.classes, small.groups) == (("pet", "d"), {"pet": ("a", "c")})
    assert small.head.kind == head
    assert small(images).shape == (80, 2)
    again = ml.remove_classes(joint, "b", [(images, labels)], class_names=names, head="affine")
    assert (again.classes, again.groups) == (("pet", "d"), {"pet": ("a", "c")})


def test_classes_are_added_behind_an_order_and_to_no_group_by_its_name():
    joint = assemble(pair(), groups=ACROSS, order=["d", "pet", "b"])
    assert ml.add_classes(joint, pixel_part("e", 1)).classes == ("d", "pet", "b", "e")
    with pytest.raises((ClassClash, BadConfig), match="group"):
        ml.add_classes(joint, pixel_part(["pet"], 1))
    options = {"calibration": [random_batch(60, seed=0)], "class_names": list("abcd"), "groups": ACROSS}
    fitted = assemble(pair(), head="affine", **options)
    with pytest.raises(ClassClash, match="class 'pet' has the name of a group"):
        ml.add_classes(fitted, pixel_part(["pet"], 1))
    more = ml.add_classes(fitted, pixel_part("e", 1))
    assert (more.classes, more.groups) == (("pet", "b", "d", "e"), {"pet": ("a", "c")})


def test_a_part_is_replaced_and_groups_keep_the_members_that_are_left():
    joint = assemble(pair(), groups=ACROSS)
    swapped = ml.replace_part(joint, "d", pixel_part("ef", 2, 3))
    assert (swapped.classes, swapped.groups) == (("pet", "b", "e", "f"), {"pet": ("a",)})
    with pytest.raises(UnknownClass, match="class 'pet' is in 2 parts"):
        ml.replace_part(joint, "pet", pixel_part("ef", 2, 3))


@pytest.mark.parametrize("number", [1, np.int64(1), torch.tensor(1)])
def test_a_part_is_named_by_any_whole_number(number):
    assert ml.replace_part(assemble(pair()), number, pixel_part("ef", 2, 3)).classes == ("a", "b", "e", "f")

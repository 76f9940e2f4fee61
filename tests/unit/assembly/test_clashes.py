"""A class that two parts have, under every kind of head, with a class for outsiders, through saving and measuring."""

import pytest
import torch

import model_lego as ml
from model_lego.assembly.assembling import assemble
from model_lego.errors import ClassClash
from model_lego.parts.assembly import NONE_OF_THESE
from tests.support.components import batch, pixel_part, random_batch, shared, tinted, tiny_part
from tests.support.tiny_models import build, inputs

ROWS = [[3.0, 1.0, 5.0, -2.0], [0.5, 7.0, 1.0, 4.0]]


def test_a_class_of_two_parts_is_an_error_that_names_it_and_them():
    with pytest.raises(ClassClash, match=r"class 'b' is in part 1 and part 2; .*'prefer' or 'average'"):
        assemble(shared())
    with pytest.raises(ClassClash, match="class 'a' is in part 1 and part 3"):
        assemble([pixel_part("a", 0), pixel_part("b", 1), pixel_part("ca", 2, 3)])


def test_prefer_takes_the_logit_of_the_first_part():
    joint = assemble(shared(), on_clash="prefer")
    assert joint.classes == ("a", "b", "c")
    assert joint(batch(ROWS, [0, 0])[0]).tolist() == [[3, 1, 5], [0.5, 7, 1]]


def test_average_takes_the_mean_of_the_logits():
    joint = assemble(shared(), on_clash="average")
    assert joint.classes == ("a", "b", "c")
    assert joint(batch(ROWS, [0, 0])[0]).tolist() == [[3, -0.5, 5], [0.5, 5.5, 1]]


def test_the_mean_of_three_logits_is_exact_in_float64():
    joint = assemble([pixel_part("a", number) for number in range(3)], on_clash="average")
    assert joint(batch([[1, 2, 6, 0]], [0])[0]).item() == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_clashes_are_settled_in_both_layouts(layout):
    parts = [
        tiny_part("plain_nobn", seed=seed, names=names, share=share)
        for seed, names, share in ((1, "ab", 0.7), (2, "cb", 0.4))
    ]
    x = inputs("plain_nobn", batch=5)
    first, second = parts[0](x), parts[1](x)
    for on_clash, b in (("prefer", first[:, 1]), ("average", (first[:, 1] + second[:, 1]) / 2)):
        expected = torch.stack([first[:, 0], b, second[:, 0]], 1)
        assert torch.allclose(assemble(parts, layout=layout, on_clash=on_clash)(x), expected, rtol=1e-10)


def test_the_fitted_head_settles_clashes_too():
    images, labels = random_batch(60, seed=0, classes=3)
    joint = assemble(shared(), on_clash="average", calibration=[(images, labels)], head="affine")
    assert joint.head.weight.shape == (3, 4)
    assert joint(images).shape == (60, 3)


def parts():
    return [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cb"))]


@pytest.mark.parametrize("on_clash", ["prefer", "average"])
@pytest.mark.parametrize("head", ["concat", "affine", "ridge", "lda", "blend", "auto"])
def test_it_is_one_class_for_every_head(head, on_clash, tmp_path):
    (x, labels), (test, truth) = tinted(60, seed=0, classes=3), tinted(90, seed=1, classes=3)
    joint = ml.assemble(parts(), calibration=[(x, labels)], head=head, on_clash=on_clash, outsiders=0.05)
    assert joint.classes == ("a", "b", "c", NONE_OF_THESE)
    assert len(joint.settings["head_scores"]) == (5 if head == "auto" else 1)
    with torch.no_grad():
        logits = joint(test)
    if head == "concat":
        joined = joint.joined(test)
        b = joined[:, 1] if on_clash == "prefer" else (joined[:, 1] + joined[:, 3]) / 2
        assert torch.allclose(logits[:, :3], torch.stack([joined[:, 0], b, joined[:, 2]], 1), rtol=1e-12)
    else:
        assert float((logits[:, :3].argmax(1) == truth).double().mean()) > (0.5 if head == "affine" else 0.75)
    ml.save(joint, tmp_path / "joint")
    loaded = ml.load(tmp_path / "joint", factory=lambda: build("plain"))
    assert torch.equal(loaded(test), logits)
    report = ml.evaluate(loaded, [(test, truth)])
    assert report.accuracy == pytest.approx(100 * float((logits.argmax(1) == truth).double().mean()))
    assert [part.name for part in report.parts] == ["1 (a, b)", "2 (c, b)"]


@pytest.mark.parametrize("head", ["ridge", "lda"])
def test_heads_on_features_learn_it_as_any_other_class(head):
    calibration = [tinted(60, seed=0, classes=3)]
    prefer, average = (
        ml.assemble(parts(), calibration=calibration, head=head, on_clash=c) for c in ("prefer", "average")
    )
    assert torch.equal(prefer.head.weight, average.head.weight)

"""assemble: side by side or fitted, on logits or on what the last layers read, and which head it takes by itself."""

import math

import pytest
import torch
from torch import Tensor

from model_lego import evaluate
from model_lego.assembly.assembling import assemble
from model_lego.errors import BadConfig, IncompatibleComponents
from tests.support.components import batch, pair, pixel_part, random_batch, right, shared, tinted, tiny_part

ROWS = [[3.0, 1.0, 5.0, -2.0], [0.5, 7.0, 1.0, 4.0]]
#: In the order in which their figures are noted.
KINDS = ["concat", "affine", "ridge", "lda", "blend"]


def loss(logits: Tensor, labels: Tensor) -> float:
    """Mean of -log softmax at the labels, written out."""
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    each = [math.log(sum(math.exp(one - row[wanted]) for one in row)) for row, wanted in rows]
    return sum(each) / len(each)


def test_concat_is_the_logits_side_by_side():
    images, labels = random_batch(20, seed=0)
    for options in ({}, {"head": "concat", "calibration": [(images, labels)]}):
        joint = assemble(pair(), **options)
        assert joint.classes == ("a", "b", "c", "d")
        assert torch.equal(joint(images), images.flatten(1))
        assert joint.head.kind == joint.settings["head"] == "concat"


@pytest.mark.parametrize("on_clash", ["prefer", "average"])
@pytest.mark.parametrize("signal", [0.0, 1.0, 6.0])
def test_the_fitted_head_is_never_worse_on_its_own_images(signal, on_clash):
    for parts, classes in ((pair(), 4), (shared(), 3)):
        images, labels = random_batch(60, seed=2, classes=classes, signal=signal)
        plain, fitted = (
            assemble(parts, calibration=[(images, labels)], head=head, on_clash=on_clash)(images)
            for head in ("concat", "affine")
        )
        assert loss(fitted, labels) <= loss(plain, labels) + 1e-7


def test_the_fitted_head_takes_over_confidence_away():
    images, labels = random_batch(400, seed=3, signal=2.0)
    loud = images * torch.tensor([1.0, 1.0, 5.0, 5.0], dtype=torch.float64)[:, None, None]
    other, theirs = random_batch(400, seed=4, signal=2.0)
    other = other * torch.tensor([1.0, 1.0, 5.0, 5.0], dtype=torch.float64)[:, None, None]
    plain, fitted = (assemble(pair(), calibration=[(loud, labels)], head=head)(other) for head in ("concat", "affine"))
    right = [float((logits.argmax(1) == theirs).double().mean()) for logits in (plain, fitted)]
    assert right[1] > right[0] + 0.05
    assert loss(fitted, theirs) < 0.7 * loss(plain, theirs)


def test_two_images_are_enough_to_fit_a_head():
    joint = assemble([pixel_part("a", 0), pixel_part("b", 1)], calibration=[batch(torch.eye(4)[:2], [0, 1])])
    assert torch.isfinite(joint(batch(ROWS, [0, 0])[0])).all()


def tiny_pair(name: str = "plain") -> list:
    return [tiny_part(name, seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]


@pytest.mark.parametrize("head", ["ridge", "lda", "blend"])
def test_a_head_on_features_reads_what_the_last_layers_read(head):
    parts, (images, labels) = tiny_pair(), tinted(80)
    joint = assemble(parts, calibration=[(images, labels)], head=head)
    features = torch.cat([part.module[:11](images) for part in parts], 1)
    assert joint.head.kind == joint.settings["head"] == head
    assert torch.allclose(joint(images), features @ joint.head.weight.T + joint.head.shift, rtol=1e-9)
    assert torch.equal(joint.joined(images), torch.cat([part(images) for part in parts], 1))
    assert right(joint, *tinted(200, seed=1)) > right(assemble(parts), *tinted(200, seed=1)) + 10


@pytest.mark.parametrize("head", ["auto", "ridge", "lda", "blend"])
def test_both_layouts_make_the_same_decisions_of_features(head):
    images, labels = tinted(80)
    parallel, padded = (
        assemble(tiny_pair(), calibration=[(images, labels)], head=head, layout=layout)
        for layout in ("parallel", "padded")
    )
    assert torch.allclose(parallel(images), padded(images), rtol=1e-6, atol=1e-8)
    assert parallel.settings["head_scores"] == pytest.approx(padded.settings["head_scores"])


def test_parts_of_two_architectures_share_a_head_on_features():
    parts = [tiny_part(name, seed=1, names=n) for name, n in (("conv_head", "ab"), ("residual", "cd"))]
    joint = assemble(parts, calibration=[tinted(80)], head="ridge")
    assert joint.settings["head_reads"] == [["classifier.1"], ["4.linear"]]
    assert right(joint, *tinted(200, seed=1)) > 60


@pytest.mark.parametrize("head", ["ridge", "lda", "blend"])
def test_parts_without_features_are_refused_or_do_without(head):
    data = [random_batch(40, seed=0)]
    with pytest.raises(IncompatibleComponents, match=f"head '{head}' reads features: .*use head='affine'"):
        assemble(pair(), calibration=data, head=head)
    joint = assemble(pair(), calibration=data)
    assert list(joint.settings["head_scores"]) == ["concat", "affine"]
    assert "mixes classes" in joint.settings["no_features"]


def test_parts_keep_their_own_figures_behind_a_head_on_features():
    parts, (images, labels) = tiny_pair(), tinted(80)
    joint = assemble(parts, calibration=[(images, labels)], head="ridge")
    report = evaluate(joint, [(images, labels)])
    for part, row, first in zip(parts, report.parts, (0, 2), strict=True):
        mine = (labels >= first) & (labels < first + 2)
        assert row.own == pytest.approx(right(part, images[mine], labels[mine] - first))
    assert report.accuracy == pytest.approx(right(joint, images, labels))


def test_an_assembly_with_a_head_on_features_can_be_exported():
    images, labels = tinted(40)
    joint = assemble(tiny_pair(), calibration=[(images, labels)], head="lda", outsiders=0.1)
    exported = torch.export.export(joint, (images[:2],), dynamic_shapes=({0: torch.export.Dim.AUTO},), strict=False)
    assert torch.allclose(exported.module()(images), joint(images))


def test_a_blend_is_the_mean_of_the_convex_map_and_the_least_squares_brought_to_the_scale_of_logits():
    data, (images, _) = [tinted(80)], tinted(40, seed=1)
    affine, ridge, blend = (assemble(tiny_pair(), calibration=data, head=h) for h in ("affine", "ridge", "blend"))
    strength = blend.settings["head_strength"]
    assert strength["factor"] > 1
    assert torch.allclose(blend(images), (affine(images) + strength["factor"] * ridge(images)) / 2, rtol=1e-6)
    assert (strength["affine"], strength["ridge"]) == tuple(
        joint.settings["head_strength"] for joint in (affine, ridge)
    )
    assert list(blend.settings["head_scores"]) == ["blend"]


def test_logits_that_are_more_than_sums_of_features_are_not_blended():
    parts = [tiny_part("log_softmax_head", seed=seed, names=names) for seed, names in ((1, "ab"), (2, "cd"))]
    with pytest.raises(IncompatibleComponents, match="'blend' needs logits that are weighted sums of features"):
        assemble(parts, calibration=[tinted(80)], head="blend")
    joint = assemble(parts, calibration=[tinted(80)])
    assert list(joint.settings["head_scores"]) == KINDS[:-1]


def test_auto_takes_what_cross_validation_prefers_and_notes_its_figures():
    data = [tinted(80)]
    auto = assemble(tiny_pair(), calibration=data)
    scores = auto.settings["head_scores"]
    assert list(scores) == KINDS
    for name, score in scores.items():
        alone = assemble(tiny_pair(), calibration=data, head=name)
        assert alone.settings["head_scores"] == {name: pytest.approx(score)}
        if name == auto.head.kind:
            assert torch.equal(alone(data[0][0]), auto(data[0][0]))
    assert scores["concat"] == pytest.approx(right(assemble(tiny_pair()), *data[0]))
    assert scores[auto.head.kind] > scores["concat"] + 10


def test_auto_takes_the_blend_unless_another_kind_is_clearly_better():
    assert assemble(tiny_pair(), calibration=[tinted(80)]).head.kind == "blend"
    clear, noise = random_batch(80, seed=0, signal=3.0), random_batch(80, seed=0, signal=0.0)
    assert assemble(pair(), calibration=[clear]).head.kind == "affine"  # the logits are all that these parts have
    assert assemble(pair(), calibration=[(noise[0], clear[1])]).head.kind == "affine"


@pytest.mark.parametrize(
    ("per_class", "missing", "folds"),
    [(1, ["ridge", "lda", "blend"], 4), (2, ["lda"], 2), (3, [], 3), (9, [], 5)],
)
def test_auto_does_with_few_images_what_can_be_done(per_class, missing, folds):
    joint = assemble(tiny_pair(), calibration=[tinted(4 * per_class)])
    assert list(joint.settings["head_scores"]) == [kind for kind in KINDS if kind not in missing]
    assert joint.settings["head_folds"] == folds


def test_a_single_image_fits_nothing():
    joint = assemble([pixel_part("a", 0)], calibration=[batch([[1, 2, 3, 4]], [0])], outsiders=0.5)
    assert joint.head.kind == "concat"
    assert joint.settings["outsiders"] == {"share": 0.5, "threshold": 1.0}


def test_too_few_images_for_a_head_are_refused():
    for head, needs, given in (("ridge", 2, 1), ("lda", 3, 2), ("blend", 2, 1)):
        with pytest.raises(
            BadConfig, match=f"'{head}' needs {needs} calibration images of each class, but of class 'a'"
        ):
            assemble(tiny_pair(), calibration=[tinted(4 * given)], head=head)


def test_factors_of_logits_and_heads_on_features_exclude_each_other():
    data = [tinted(40)]
    with pytest.raises(BadConfig, match="scaling 'logit' scales logits, and head 'ridge' reads features"):
        assemble(tiny_pair(), calibration=data, head="ridge", scaling="logit")
    assert list(assemble(tiny_pair(), calibration=data, scaling="logit").settings["head_scores"]) == [
        "concat",
        "affine",
    ]


def test_an_assembly_says_what_it_lacks():
    lacking, calibrated = assemble(pair()), assemble(pair(), calibration=[random_batch(40, seed=0)])
    assert lacking.settings["lacks"].startswith("no calibration images: ")
    assert lacking.settings["lacks"] in str(lacking)
    assert "lacks" not in calibrated.settings
    assert "no calibration images" not in str(calibrated)

"""assemble: which head it takes, what heads on features read, labels of parts, the class for what is none of these."""

import pytest
import torch
from torch import Tensor

from model_lego import evaluate
from model_lego.assembly import assemble
from model_lego.component import NONE_OF_THESE
from model_lego.errors import BadConfig, ClassClash, IncompatibleComponents, UnknownClass
from tests.parts import batch, pair, pixel_part, random_batch, tiny_part
from tests.tiny_models import inputs

#: In the order in which their figures are noted.
KINDS = ["concat", "affine", "ridge", "lda", "blend"]


def tiny_pair(name: str = "plain") -> list:
    return [tiny_part(name, seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cd"))]


def tinted(count: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images whose tint and pattern depend on the class."""
    generator = torch.Generator().manual_seed(9)
    marks = torch.randn(4, 3, 12, 12, generator=generator, dtype=torch.float64)
    labels = torch.arange(count) % 4
    return 0.7 * inputs("plain", batch=count, seed=seed) + marks[labels], labels


def right(joint, images: Tensor, labels: Tensor) -> float:
    return 100 * float((joint(images).argmax(1) == labels).double().mean())


# ------------------------------------------------------------------------------------------------------ on features


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


# ------------------------------------------------------------------------------------------------------------- auto


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


# --------------------------------------------------------------------------------------------------- labels of parts


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
    with pytest.raises(UnknownClass, match="no calibration image of part 1; label some images 1"):
        assemble(pair(), calibration=[(images[:2], labels[:2] // 2)], labels="parts")
    with pytest.raises(
        UnknownClass, match="no calibration image of class 'd', that is, none that its part takes for it"
    ):
        assemble(pair(), calibration=[(images[:3], labels[:3] // 2)], labels="parts")
    with pytest.raises(BadConfig, match="leave class_names out"):
        assemble(pair(), calibration=[(images, labels // 2)], labels="parts", class_names=list("abcd"))


# ----------------------------------------------------------------------------------------------------- none of these


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

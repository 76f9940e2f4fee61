"""A class that two parts have, under every kind of head, with a class for outsiders, through saving and measuring."""

import pytest
import torch

import model_lego as ml
from model_lego.component import NONE_OF_THESE
from tests.parts import tiny_part
from tests.tiny_models import build, inputs


def parts():
    return [tiny_part("plain", seed=seed, names=names, share=0.6) for seed, names in ((1, "ab"), (2, "cb"))]


def tinted(count, *, seed):
    """Images whose tint and pattern depend on which of three classes they are of."""
    marks = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    labels = torch.arange(count) % 3
    return 0.7 * inputs("plain", batch=count, seed=seed) + marks[labels], labels


@pytest.mark.parametrize("on_clash", ["prefer", "average"])
@pytest.mark.parametrize("head", ["concat", "affine", "ridge", "lda", "blend", "auto"])
def test_it_is_one_class_for_every_head(head, on_clash, tmp_path):
    (x, labels), (test, truth) = tinted(60, seed=0), tinted(90, seed=1)
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
    calibration = [tinted(60, seed=0)]
    prefer, average = (
        ml.assemble(parts(), calibration=calibration, head=head, on_clash=c) for c in ("prefer", "average")
    )
    assert torch.equal(prefer.head.weight, average.head.weight)

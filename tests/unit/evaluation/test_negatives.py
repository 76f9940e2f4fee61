"""Against which samples an AUROC was measured: two of one part by different negatives are two figures, and say so."""

import json

import pytest
import torch

from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import NONE_OF_THESE, Assembly, Head
from tests.support.pixel_networks import BATCH, Pixels, animals, batch, component

ALONE = (
    "each class's logit, its samples against those of the part's other classes; samples of no other class were given"
)


def said(report):
    """The printed report without the ends of its lines."""
    return " ".join(str(report).split())


def test_without_samples_of_other_classes_the_negatives_are_the_parts_own():
    report = evaluate(animals(), [BATCH])
    assert report.other_classes == ()
    assert report.negatives == {"separation": ALONE}
    assert f"AUROC: {ALONE}" in said(report)


def test_samples_of_other_classes_are_counted_and_named():
    data = [batch([[9, 1, 0], [0, 8, 1], [2, 2, 1], [8.5, 0, 0]], [0, 1, 3, 4])]
    report = evaluate(animals(), data, class_names=["cat", "dog", "owl", "hen", "fox"])
    assert report.other_classes == ("hen", "fox")
    assert report.negatives == {
        "separation": "each class's logit, its samples against those of the part's other classes and 2 of other "
        "classes (hen, fox)",
        "outsiders": "the largest logit, samples of the part's classes against 2 of other classes (hen, fox)",
    }
    assert f"AUROC: {report.negatives['separation']}" in said(report)
    assert f"AUROC 0.7500: {report.negatives['outsiders']}; where 95 %" in said(report)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_part_of_one_class_is_told_from_other_classes_alone(count):
    names = [f"class{number}" for number in range(count)]
    seen = [batch([[1], [2], *[[0]] * count], [0, 0, *range(1, count + 1)])]
    report = evaluate(component(Pixels(0), ["cat"], channels=1), seen, class_names=["cat", *names, "never seen"])
    shown = ", ".join(names[:5]) + (", … 40 in all" if count == 40 else "")
    assert report.negatives["separation"] == f"its logit, its samples against {count} of other classes ({shown})"


def test_the_two_figures_of_one_part_say_in_json_what_they_are():
    own = evaluate(animals(), [BATCH]).to_dict()
    data = [BATCH, batch([[9, 0, 0]], [3])]
    more = evaluate(animals(), data, class_names=["cat", "dog", "owl", "hen"]).to_dict()
    assert own["negatives"]["separation"] != more["negatives"]["separation"]
    assert (own["other_classes"], more["other_classes"]) == ([], ["hen"])
    json.dumps(more, allow_nan=False)


def test_samples_of_none_of_these_are_told_from_the_parts_classes():
    head = Head("affine", torch.cat([torch.eye(4), torch.zeros(1, 4)]), torch.tensor([0.0, 0, 0, 0, 2.5]))
    parts = [component(Pixels(0, 1), ["a", "b"], channels=4), component(Pixels(2, 3), ["c", "d"], channels=4)]
    joint = Assembly(parts, layout="parallel", classes=["a", "b", "c", "d", NONE_OF_THESE], head=head)
    data = [batch([[3, 1, 0, 0], [0, 0, 0, 9], [0, 0, 0, 8]], [0, 4, 4])]
    report = evaluate(joint, data, class_names=["a", "b", "c", "d", "fox"])
    words = "the largest logit, samples of the part's classes against 2 of other classes (fox)"
    assert report.negatives == {"outsiders": words}
    assert words in said(report)

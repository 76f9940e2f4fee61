"""evaluate: an assembly, its parts, and the class for images of none of them, worked out by hand."""

import pytest
import torch

from model_lego.assembly.assembling import assemble
from model_lego.evaluation.baselines import Contender
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import Assembly, Head
from tests.support.components import FREE, pixel_part
from tests.support.pixel_networks import JOINED, WHOSE, Pixels, assembly, batch, component


def test_answers_of_an_assembly_that_may_say_none_of_these():
    names = ["a", "b", "c", "d", "none of these"]
    head = Head("affine", torch.cat([torch.eye(4), torch.zeros(1, 4)]), torch.tensor([0.0, 0, 0, 0, 2.5]))
    parts = [component(Pixels(0, 1), ["a", "b"], channels=4), component(Pixels(2, 3), ["c", "d"], channels=4)]
    joint = Assembly(parts, layout="parallel", classes=names, head=head)
    uncut = Contender("sources", Pixels(0, 1, 2, 3), (0, 1, 2, 3), True, FREE, reference=True)
    images, labels = batch([[3, 1, 0, 0], [0, 2, 0, 0], [0, 4, 3, 0], [1, 0, 0, 0], [0, 0, 0, 9]], [0, 1, 2, 4, 4])
    report = evaluate(joint, [(images, labels)], class_names=["a", "b", "c", "d", "fox"], baselines=[uncut])
    row, other = report.rows  # answers: a, none, b, none, d; uncut: a, b, b, a, d
    assert (row.accuracy, row.per_class[4]) == (40.0, 50.0)
    assert (row.known, row.agreement) == (pytest.approx(100 / 3), pytest.approx(200 / 3))
    assert (other.accuracy, other.per_class[4], other.agreement) == (40.0, 0.0, 100.0)
    assert other.known == pytest.approx(200 / 3)
    assert (report.outsiders.auroc, report.outsiders.samples) == (pytest.approx(3 / 6), 2)
    assert (report.parts[0].other, report.parts[1].other) == (0.0, 100.0)
    assert "of their samples 33.33 % are right" in str(report)


@pytest.mark.parametrize("layout", ["parallel", "padded"])
def test_an_assembly_is_measured_part_by_part(layout):
    report = evaluate(assembly(layout, Head.identity(4)), [batch(JOINED, WHOSE)])
    assert report.accuracy == pytest.approx(200 / 6)
    assert report.rows[0].per_class == (50.0, 50.0, 0.0, 0.0)
    first, second = report.parts
    assert (first.classes, first.samples, first.own, first.joint, first.other) == (("a", "b"), 4, 75.0, 50.0, 25.0)
    assert (second.classes, second.samples, second.own, second.joint, second.other) == (("c", "d"), 2, 50.0, 0.0, 50.0)
    assert report.rows[0].separation == ()


def test_the_head_counts_for_joint_answers_only():
    head = Head("logit", torch.tensor([1.0, 1.0, 10.0, 10.0]), torch.zeros(4))
    first, second = evaluate(assembly("parallel", head), [batch(JOINED, WHOSE)]).parts
    assert (first.own, first.joint, first.other) == (75.0, 25.0, 50.0)
    assert (second.own, second.joint, second.other) == (50.0, 50.0, 0.0)


def test_a_class_of_two_parts_counts_for_both():
    parts = [component(Pixels(0, 1), ["a", "b"], channels=4), component(Pixels(2, 3), ["b", "c"], channels=4)]
    prefer = Head("concat", torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]), torch.zeros(3))
    shared = Assembly(parts, layout="parallel", classes=["a", "b", "c"], head=prefer)
    first, second = evaluate(shared, [batch([[0, 5, 1, 3], [7, 0, 0, 3]], [1, 2])]).parts
    assert (first.samples, first.own, first.joint, first.other) == (1, 100.0, 100.0, 0.0)
    assert (second.samples, second.own, second.joint, second.other) == (2, 50.0, 50.0, 50.0)


def test_an_image_that_is_none_of_these_is_not_taken_for_one_of_another_part():
    joint = assemble([pixel_part("a", 0), pixel_part("b", 1)], calibration=[four([[5, 0], [0, 5]])], outsiders=0.5)
    joint.head = Head("concat", torch.tensor([[1.0, 0], [0, 1], [0, 0]]).double(), torch.tensor([0.0, 0, 2]).double())
    report = evaluate(joint, [four([[5, 0], [0, 5]]), four([[1, 0], [5, 0]]), four([[0, 5], [1, 0]])])
    assert [part.joint for part in report.parts] == pytest.approx([100 / 3] * 2)
    assert [part.other for part in report.parts] == pytest.approx([100 / 3] * 2)


def four(rows):
    """One image of each of two classes, as four pixels."""
    images = torch.tensor(rows, dtype=torch.float64)
    return torch.cat([images, torch.zeros(2, 2)], 1)[:, :, None, None], torch.tensor([0, 1])

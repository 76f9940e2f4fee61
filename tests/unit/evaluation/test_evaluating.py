"""evaluate: numbers worked out by hand on networks whose logits are the pixels of the image."""

import itertools
import json
import math

import pytest
import torch
from torch import nn

from model_lego.evaluation.baselines import Contender
from model_lego.evaluation.evaluating import evaluate
from model_lego.parts.assembly import Assembly, Head
from model_lego.parts.origin import Cost
from model_lego.verdicts.metrics import separation
from tests.support.components import FREE
from tests.support.pixel_networks import BATCH, Pixels, animals, batch, component, pets


def test_accuracy_of_all_and_of_each_class():
    report = evaluate(animals(), [BATCH])
    assert (report.accuracy, report.row("component").per_class) == (75.0, (50.0, 100.0, 100.0))
    assert (report.row("component").samples, report.counts, report.others) == (4, (2, 1, 1), 0)
    assert (report.kind, report.classes, report.notes) == ("Component", ("cat", "dog", "owl"), ())


def test_a_class_without_samples_has_no_number():
    images, labels = BATCH
    report = evaluate(animals(), [(images[:2], labels[:2])])
    first, *others = report.rows[0].per_class
    assert first == 50.0
    assert all(map(math.isnan, others))
    assert all(map(math.isnan, report.rows[0].separation))
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert written["rows"][0]["per_class"] == [50.0, None, None]
    assert written["counts"] == [2, 0, 0]
    assert written["rows"][0]["accuracy"] == 50.0


def test_labels_are_mapped_by_name_and_strangers_are_told_apart():
    images = torch.cat([BATCH[0], batch([[9, 0, 0], [0, 9, 0]], [0, 0])[0]])
    labels = torch.tensor([2, 2, 0, 3, 1, 1])
    report = evaluate(animals(), [(images, labels)], class_names=["dog", "fox", "cat", "owl"])
    assert (report.accuracy, report.rows[0].per_class) == (75.0, (50.0, 100.0, 100.0))
    assert (report.rows[0].samples, report.counts, report.others) == (4, (2, 1, 1), 2)
    # cats have 2 and 0 in their logit; others 0, 5 and the foxes 9 and 0: pairs won 2 of 8, even 2 of 8
    assert report.rows[0].separation[0] == pytest.approx((2 + 2 / 2) / 8)


def test_a_network_over_all_its_classes_has_to_beat_its_other_outputs():
    two = component(Pixels(0, 1), ["cat", "dog"], channels=2)
    data = [batch([[2, 1], [1, 0], [1, 3], [9, 0]], [0, 0, 1, 1])]
    wide = Pixels(0, 1, constants=[1.5])
    free, bound = (evaluate(two, data, baselines=[pets(wide, restricted=r)]).row("other") for r in (False, True))
    assert (free.accuracy, free.per_class) == (50.0, (50.0, 50.0))
    assert (bound.accuracy, bound.per_class) == (75.0, (100.0, 50.0))
    assert (free.parameters, free.macs, free.bytes) == (7, 8, 9)


@pytest.mark.parametrize("restricted", [True, False])
def test_columns_say_where_a_class_stands(restricted):
    two = component(Pixels(0, 1), ["cat", "dog"], channels=2)
    data = [batch([[2, 1], [1, 0], [1, 3]], [0, 0, 0])]
    baselines = [pets(Pixels(1, 0, constants=[-1.0]), columns=(1, 0), restricted=restricted)]
    assert [row.accuracy for row in evaluate(two, data, baselines=baselines).rows] == [200 / 3, 200 / 3]


def test_samples_of_other_classes_are_never_right():
    two = component(Pixels(0, 1), ["cat", "dog"], channels=2)
    data = [batch([[2, 1], [3, 1], [4, 0]], [0, 2, 2])]
    report = evaluate(two, data, class_names=["cat", "dog", "fox"], baselines=[pets(Pixels(0, 1), restricted=False)])
    assert [row.accuracy for row in report.rows] == [100.0, 100.0]
    assert report.row("other").samples == 1


def test_separation_is_the_share_of_pairs_in_the_right_order():
    generator = torch.Generator().manual_seed(0)
    logits = 40.0 * torch.randint(-2, 4, (60, 3), generator=generator)  # with ties, and where a sigmoid is flat
    where = torch.randint(-1, 3, (60,), generator=generator)
    expected = []
    for number in range(3):
        mine = [x for x, w in zip(logits[:, number].tolist(), where.tolist(), strict=True) if w == number]
        rest = [x for x, w in zip(logits[:, number].tolist(), where.tolist(), strict=True) if w != number]
        won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in itertools.product(mine, rest))
        expected.append(won / (len(mine) * len(rest)))
    assert separation(logits, where) == pytest.approx(expected, abs=1e-6)


def test_answers_are_held_against_those_of_the_uncut_network_and_of_the_part():
    data = [batch([[3, 1, 0], [0, 3, 1], [1, 0, 3], [3, 0, 1]], [0, 1, 2, 1])]
    turned = Contender("restricted", Pixels(1, 0, 2), (0, 1, 2), True, FREE, reference=True)
    report = evaluate(animals(), data, baselines=[turned])
    part, uncut = report.rows  # the part answers 0 1 2 0, the uncut network 1 0 2 1
    assert (part.agreement, uncut.agreement) == (25.0, 100.0)
    assert (part.accuracy, uncut.accuracy) == (75.0, 50.0)
    low, high = uncut.difference  # right alone on the last, the part alone on the first two
    assert (part.difference, low < -25 < high) == ((0.0, 0.0), True)
    assert part.interval[0] < 75 < part.interval[1]
    assert math.isnan(evaluate(animals(), data).rows[0].agreement)


def test_a_report_says_how_far_a_part_is_below_its_uncut_source_and_what_a_photo_takes_both():
    data = [batch([[3, 1, 0], [0, 3, 1], [1, 0, 3], [3, 0, 1]], [1, 0, 2, 1])]
    turned = Contender("restricted", Pixels(1, 0, 2), (0, 1, 2), True, FREE, reference=True)
    report = evaluate(animals(), data, baselines=[turned], timing=True)
    assert (report.lost, report.reference) == (75.0, "restricted")
    assert report.lost_interval[0] < 75.0 < report.lost_interval[1]
    assert all(row.milliseconds > 0 for row in report.rows)
    told = report.to_dict()
    assert (told["lost"], len(told["lost_interval"]), told["rows"][0]["milliseconds"] > 0) == (75.0, 2, True)
    assert "75.0 points below restricted (95 %: " in str(report)
    assert "a photo" in str(report)
    again = evaluate(animals(), data, baselines=[turned], timing=True)
    assert again.rows[0] == report.rows[0]  # a time is no part of what is found
    alone = evaluate(animals(), data)
    assert math.isnan(alone.lost)
    assert math.isnan(alone.rows[0].milliseconds)
    assert (alone.to_dict()["lost"], "a photo" in str(alone)) == (None, False)


def test_samples_of_other_classes_are_told_by_the_largest_logit():
    data = [batch([[9, 1, 0], [0, 8, 1], [2, 2, 1], [8.5, 0, 0]], [0, 1, 3, 3])]
    report = evaluate(animals(), data, class_names=["cat", "dog", "owl", "hen"])
    assert (report.outsiders.auroc, report.outsiders.samples) == (0.75, 2)
    assert report.outsiders.fpr95 == 50.0
    assert report.rows[0].calibration_error == pytest.approx(0, abs=0.1)
    assert evaluate(animals(), [batch([[9, 1, 0]], [0])]).outsiders is None
    assert "AUROC 0.7500" in str(report)


def test_a_single_class_is_warned_of():
    lone = component(Pixels(0), ["cat"], channels=1)
    report = evaluate(lone, [batch([[1], [2], [0]], [0, 0, 1])], class_names=["cat", "dog"])
    assert report.accuracy == 100.0
    assert report.rows[0].separation == (1.0,)
    assert "single class" in report.notes[0]
    assert "single class" in str(report)


def test_cost_is_that_of_the_tensors_there_are():
    def linear():
        return component(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), ["a", "b"], channels=4, cost=Cost(0, 8, 0))

    row = evaluate(linear(), [batch([[0, 0, 0, 0]], [0])]).rows[0]
    assert (row.parameters, row.macs, row.bytes) == (10, 8, 40)
    assert evaluate(linear().bfloat16(), [batch([[0, 0, 0, 0]], [0])]).rows[0].bytes == 20
    head = Head("affine", torch.eye(4), torch.zeros(4))
    joint = Assembly([linear(), linear()], layout="parallel", classes=["a", "b", "c", "d"], head=head)
    row = evaluate(joint, [batch([[0, 0, 0, 0]], [0])]).rows[0]
    assert (row.parameters, row.macs, row.bytes) == (20, 8 + 8 + 16, 40 + 40 + (16 + 4) * 4)

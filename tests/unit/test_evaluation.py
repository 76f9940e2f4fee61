"""evaluate: numbers worked out by hand on networks whose logits are the pixels of the image."""

import itertools
import json
import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from model_lego.assembly import assemble
from model_lego.component import Assembly, Component, Cost, Head, Origin, Preprocessing
from model_lego.contenders import Contender
from model_lego.errors import BadBatches, BadConfig, EmptySelection, ShapeMismatch, UnknownClass
from model_lego.evaluation import evaluate
from model_lego.measures import separation
from tests.parts import pixel_part

FREE = Cost(0, 0, 0)


class Pixels(nn.Module):
    """Gives some pixels of an image as logits, the constants behind them, and remembers how it was run."""

    def __init__(self, *pixels, constants=()):
        super().__init__()
        self.pixels, self.constants, self.dropout = list(pixels), constants, nn.Dropout(0.5)
        self.runs, self.modes, self.seen = 0, set(), []

    def forward(self, images):
        self.runs += 1
        self.modes |= {self.training, self.dropout.training}
        self.seen.append(images)
        logits = images.flatten(1)[:, self.pixels]
        return torch.cat([logits, logits.new_tensor([self.constants] * len(logits)).reshape(len(logits), -1)], 1)


def component(module, classes, *, channels, cost=FREE, preprocessing=None):
    origin = Origin(
        builder=None,
        source_digest="",
        source_classes=tuple(classes),
        input_shape=(channels, 1, 1),
        kept_outputs={},
        kept_inputs={},
        attributes={},
        settings={},
        cost_before=FREE,
        cost_after=cost,
    )
    return Component(module, classes=classes, labels=range(len(classes)), origin=origin, preprocessing=preprocessing)


def animals(**options):
    return component(Pixels(0, 1, 2), ["cat", "dog", "owl"], channels=3, **options)


def batch(rows, labels):
    return torch.tensor(rows, dtype=torch.float32)[:, :, None, None], torch.tensor(labels)


ROWS = [[2, 1, 0], [0, 3, 1], [0, 1, 0], [5, 1, 9]]
BATCH = batch(ROWS, [0, 0, 1, 2])  # the second cat is taken for a dog


def pets(model, *, columns=(0, 1), restricted=True, **options):
    return Contender("other", model, columns, restricted, Cost(7, 8, 9), **options)


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


def test_samples_of_other_classes_are_told_by_the_largest_logit():
    data = [batch([[9, 1, 0], [0, 8, 1], [2, 2, 1], [8.5, 0, 0]], [0, 1, 3, 3])]
    report = evaluate(animals(), data, class_names=["cat", "dog", "owl", "hen"])
    assert (report.outsiders.auroc, report.outsiders.samples) == (0.75, 2)
    assert report.outsiders.fpr95 == 50.0
    assert report.rows[0].calibration_error == pytest.approx(0, abs=0.1)
    assert evaluate(animals(), [batch([[9, 1, 0]], [0])]).outsiders is None
    assert "AUROC 0.7500" in str(report)


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


def test_a_single_class_is_warned_of():
    lone = component(Pixels(0), ["cat"], channels=1)
    report = evaluate(lone, [batch([[1], [2], [0]], [0, 0, 1])], class_names=["cat", "dog"])
    assert report.accuracy == 100.0
    assert report.rows[0].separation == (1.0,)
    assert "single class" in report.notes[0]
    assert "single class" in str(report)


#: a b | c d: the parts' own logits and the class of each sample.
JOINED = [[3, 1, 0, 0], [3, 1, 5, 0], [3, 1, 0, 0], [0, 2, 1, 1], [9, 0, 2, 1], [0, 0, 2, 1]]
WHOSE = [0, 0, 1, 1, 2, 3]


def assembly(layout, head):
    pixels = [component(Pixels(0, 1), ["a", "b"], channels=4), component(Pixels(2, 3), ["c", "d"], channels=4)]
    padded = component(Pixels(0, 1, 2, 3), ["1.a", "1.b", "2.c", "2.d"], channels=4) if layout == "padded" else None
    return Assembly(pixels, layout=layout, classes=["a", "b", "c", "d"], head=head, padded=padded)


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


def test_images_are_prepared_for_each_network_on_its_own():
    half = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
    part, bare, own = animals(preprocessing=half), Pixels(0, 1, 2), Pixels(0, 1, 2)
    images = torch.full((1, 3, 1, 1), 0.75, dtype=torch.float64)
    others = [pets(bare, columns=(0, 1, 2)), pets(own, columns=(0, 1, 2), preprocessing=half)]
    evaluate(part, [(images, torch.tensor([0]))], baselines=others)
    assert [model.seen[0].unique().item() for model in (part.module, bare, own)] == [1.0, 0.75, 1.0]
    double = pets(nn.Sequential(nn.Flatten(), nn.Linear(3, 3)).double(), columns=(0, 1, 2))
    evaluate(animals(), [BATCH], baselines=[double])  # runs in a data type of its own


def test_a_part_that_resizes_takes_images_of_any_size():
    part = animals(preprocessing=Preprocessing(size=(1, 1)))
    assert evaluate(part, [(torch.rand(2, 3, 5, 4), torch.tensor([0, 1]))]).rows[0].samples == 2
    assert part.module.seen[0].shape == (2, 3, 1, 1)
    with pytest.raises(ShapeMismatch):
        evaluate(animals(), [(torch.rand(2, 3, 5, 4), torch.tensor([0, 1]))])


def test_one_part_that_does_not_resize_says_which_images_an_assembly_takes():
    resizing = pixel_part("a", 0, shape=(1, 2, 2), preprocessing=Preprocessing(size=(2, 2)))
    fixed = pixel_part("b", 1, shape=(1, 3, 3), preprocessing=Preprocessing())
    for parts in ([resizing, fixed], [fixed, resizing]):
        with pytest.raises(ShapeMismatch, match=r"\(1, 3, 3\)"):
            evaluate(assemble(parts), [(torch.rand(2, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1]))])


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


class Counted(list):
    read = 0

    def __iter__(self):
        for pair in super().__iter__():
            self.read += 1
            yield pair


def test_one_pass_in_which_a_network_of_several_contenders_runs_once():
    shared, data = Pixels(0, 1, 2), Counted([BATCH, BATCH])
    twice = [pets(shared, columns=(0, 1, 2), restricted=r) for r in (True, False)]
    evaluate(animals(), data, baselines=twice)
    assert shared.runs == 2
    assert data.read == 2


def test_networks_run_in_eval_mode_and_keep_theirs():
    part, other = animals().train(), Pixels(0, 1, 2).train()
    other.dropout.eval()
    evaluate(part, [BATCH], baselines=[pets(other, columns=(0, 1, 2))])
    assert part.module.modes | other.modes == {False}
    assert [m.training for m in (part, part.module, part.module.dropout, other, other.dropout)] == [True] * 4 + [False]
    with pytest.raises(BadBatches):
        evaluate(part, [BATCH, batch(ROWS, [0, 0, 1, 9])])
    assert part.module.dropout.training
    joint = assembly("parallel", Head.identity(4)).train()
    evaluate(joint, [batch(JOINED, WHOSE)])
    assert all(module.training for module in joint.modules())


def test_how_samples_are_batched_does_not_matter():
    images, labels = batch(JOINED, WHOSE)
    joint, singles = assembly("parallel", Head.identity(4)), list(zip(images.split(1), labels.split(1), strict=True))
    assert evaluate(joint, singles) == evaluate(joint, [(images, labels)])
    part, singles = animals(), list(zip(BATCH[0].split(1), BATCH[1].split(1), strict=True))
    assert evaluate(part, singles) == evaluate(part, [BATCH])


def test_refusals():
    images, _ = BATCH
    with pytest.raises(BadBatches, match="label 3 of batch 0 is out of range: there are 3 classes"):
        evaluate(animals(), [(images, torch.tensor([0, 1, 2, 3]))])
    with pytest.raises(BadBatches, match="one-shot"):
        evaluate(animals(), (pair for pair in [BATCH]))
    with pytest.raises(EmptySelection, match="no sample of the classes cat, dog, owl among 4 samples"):
        evaluate(animals(), [(images, torch.full((4,), 3))], class_names=["cat", "dog", "owl", "fox"])
    with pytest.raises(UnknownClass, match="'owl'; did you mean owls"):
        evaluate(animals(), [BATCH], class_names=["cat", "dog", "owls"])
    with pytest.raises(BadConfig, match="'other' has 2 columns, but the part has 3 classes"):
        evaluate(animals(), [BATCH], baselines=[pets(Pixels(0, 1, 2))])
    with pytest.raises(BadConfig, match="'other' has 3 outputs and none number 3"):
        evaluate(animals(), [BATCH], baselines=[pets(Pixels(0, 1, 2), columns=(0, 1, 3))])
    with pytest.raises(BadConfig, match="not a Pixels"):
        evaluate(Pixels(0), [BATCH])


def test_a_report_prints_as_aligned_text_that_fits_a_terminal():
    names = [f"a class with quite a long name, number {number}" for number in range(30)]
    part = component(Pixels(*range(30)), names, channels=30, cost=Cost(0, 1_234_567, 0))
    data = [(torch.eye(30)[:, :, None, None], torch.arange(30))]
    other = pets(Pixels(*range(30)), columns=tuple(range(30)), note="said about it " * 10)
    text = str(evaluate(part, data, baselines=[other]))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    table = next(block.splitlines() for block in text.split("\n\n") if "ECE" in block)
    assert len({len(line) for line in table}) == 1
    assert table[0].split() == ["accuracy", "95", "%", "difference", "agrees", "ECE", "AUROC"]
    assert table[1].split() == ["component", "100.00", "%", "100.0-100.0", "-", "-", "91.4", "1.0000"]
    assert table[2].split()[:5] == ["other", "100.00", "%", "100.0-100.0", "0.0"]
    costs = next(block.splitlines() for block in text.split("\n\n") if "parameters" in block)
    assert costs[1].split() == ["component", "0", "1.23M", "0B"]
    assert "… and 10 more classes" in lines
    joint = str(evaluate(assembly("parallel", Head.identity(4)), [batch(JOINED, WHOSE)]))
    rows = [line.split() for line in joint.splitlines()]
    assert ["1", "(a,", "b)", "4", "75.00", "%", "50.00", "%", "25.00", "%"] in rows
    assert "AUROC" not in joint


def test_the_library_for_scores_is_imported_only_when_it_is_used():
    code = "import sys, model_lego.evaluation; sys.exit('torchmetrics' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == 0

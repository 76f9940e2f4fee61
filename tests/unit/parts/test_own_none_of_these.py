"""A network's own class that is called "none of these" is one like others: images of other classes are not of it."""

import pytest

from model_lego import add_classes, assemble, distill, evaluate, finetune
from model_lego.errors import ClassClash
from model_lego.parts.assembly import NONE_OF_THESE, own_classes, rejects, told_classes
from model_lego.report import confusion
from model_lego.training import TrainingSettings
from tests.support.components import batch, pair, pixel_part, random_batch

ROWS = [[9.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0]]
NAMES = ["a", NONE_OF_THESE, "c"]


def own(classes=("a", NONE_OF_THESE), *pixels):
    return pixel_part(classes, *(pixels or (0, 1)))


def test_no_image_of_another_class_is_counted_as_of_it():
    report = evaluate(own(), [batch(ROWS, [0, 1, 2])], class_names=NAMES)
    assert (report.counts, report.others, report.rejecting) == ((1, 1), 1, False)
    assert report.rows[0].accuracy == 100
    assert "known classes" not in str(report)
    found = confusion(own(), [batch(ROWS, [0, 1, 2])], class_names=NAMES)
    assert (found.right_rows, found.asked, found.wrong) == ([0, 1], 2, 0)


def test_an_assembly_keeps_it_and_has_it_in_any_place():
    joint = assemble([own(), pixel_part("c", 2)], order=[NONE_OF_THESE, "c", "a"])
    assert joint.classes == (NONE_OF_THESE, "c", "a")
    assert not rejects(joint)
    assert own_classes(joint) == told_classes(joint) == joint.classes
    assert evaluate(joint, [batch(ROWS, [0, 1, 2])], class_names=NAMES).rows[0].accuracy == 100
    grouped = assemble([own(), pixel_part("c", 2)], groups={"rest": [NONE_OF_THESE, "c"]})
    assert set(grouped.classes) == {"a", "rest"}
    assert assemble([joint, pixel_part("d", 3)]).classes == (NONE_OF_THESE, "c", "a", "d")


def test_there_are_no_two_of_that_name():
    images = random_batch(40, seed=0, classes=4)
    with pytest.raises(ClassClash, match="has a class 'none of these' already"):
        assemble([own(), pixel_part("c", 2)], calibration=[images], class_names=[*NAMES, "d"], outsiders=0.1)
    rejecting = assemble(pair(), calibration=[images], outsiders=0.1)
    with pytest.raises(ClassClash, match="has a class 'none of these' of its own"):
        add_classes(rejecting, own(("e", NONE_OF_THESE)))


def test_a_student_of_an_assembly_learns_its_none_of_these_and_no_other():
    settings = TrainingSettings(epochs=1, batch_size=8, learning_rate=1e-3, flip=False, crop=0)
    images = random_batch(40, seed=0, classes=4)
    teacher = assemble(pair(), calibration=[images], outsiders=0.1, head="affine")
    pupil = pixel_part(teacher.classes, 0, 1, 2, 3, 0)
    taught = distill(teacher, pupil, [images], settings, class_names=list("abcd"))
    assert (rejects(pupil), rejects(taught)) == (False, True)
    assert told_classes(taught) == tuple("abcd")
    assert not rejects(distill(own(), own(), [batch(ROWS, [0, 1, 2])], settings, class_names=NAMES))
    assert not rejects(finetune(own(), [batch(ROWS, [0, 1, 2])], settings, class_names=NAMES))

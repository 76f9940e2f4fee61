"""Bad input to the verbs of the library: each refuses it in words, reads nothing of it, and leaves the model alone."""

import functools

import pytest
import torch

from model_lego import baselines, disassemble, evaluate, plan
from model_lego.errors import BadBatches, EmptySelection, LegoError, ShapeMismatch, TraceFailed, UnknownClass
from tests.support.tiny_models import build, inputs

RANDOM = {"sampling": "random"}  # the networks are not trained: none of their answers is confident and correct
NAMES = ("ant", "bee", "cat", "dog", "eel")


def pairs():
    """Twenty images, four a class, in two batches."""
    images, labels = inputs("plain", batch=20), torch.arange(20) % 5
    return [(images[:10], labels[:10]), (images[10:], labels[10:])]


@functools.cache
def component():
    return disassemble(build("plain"), pairs(), classes=[1, 3], class_names=NAMES, repair="mean", **RANDOM)


VERBS = {
    "plan": lambda given: plan(build("plain"), given, classes=[1, 3]),
    "disassemble": lambda given: disassemble(build("plain"), given, classes=[1, 3]),
    "disassemble, calibration": lambda given: disassemble(
        build("plain"), pairs(), classes=[1, 3], calibration=given, **RANDOM
    ),
    "baselines": lambda given: baselines(component(), build("plain"), calibration=given, kinds=["random"]),
    "evaluate": lambda given: evaluate(component(), given, class_names=NAMES),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_one_shot_generator_is_refused_before_it_is_used_up(verb):
    generator = (pair for pair in pairs())
    with pytest.raises(BadBatches, match=r"one-shot generator.*; give a list or a DataLoader"):
        VERBS[verb](generator)
    assert len(list(generator)) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_empty_batches_are_refused(verb):
    with pytest.raises(BadBatches, match="the batches are empty"):
        VERBS[verb]([])


@pytest.mark.parametrize("verb", VERBS)
def test_an_image_with_nan_is_refused(verb):
    given = pairs()
    given[1][0][9, 2, 5, 5] = float("nan")  # of class 4, of which nothing is asked
    with pytest.raises(BadBatches, match="batch 1 contain NaN"):
        VERBS[verb](given)


@pytest.mark.parametrize("verb", VERBS)
def test_a_later_batch_of_another_shape_is_refused(verb):
    first, (images, labels) = pairs()
    with pytest.raises(ShapeMismatch, match=r"batch 1 have shape \(3, 12, 10\), but the network takes \(3, 12, 12\)"):
        VERBS[verb]([first, (images[..., :10], labels)])


@pytest.mark.parametrize("verb", VERBS)
def test_a_label_that_no_class_has_is_refused(verb):
    first, (images, labels) = pairs()
    with pytest.raises(BadBatches, match="label 5 of batch 1 is out of range: there are 5 classes"):
        VERBS[verb]([first, (images, labels + 1)])


@pytest.mark.parametrize("verb", [plan, disassemble])
def test_a_network_that_does_not_export_is_refused_with_the_line_where_it_fails(verb):
    model = build("data_dependent").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(TraceFailed, match=r"unusual\.py.*line \d+") as caught:
        verb(model, pairs(), classes=[0])
    assert isinstance(caught.value, LegoError | RuntimeError)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["bea"], "no class 'bea'; did you mean bee"),
        (["wolf"], "no class 'wolf'; it has ant, bee, cat, dog, eel"),
        ([5], "no class '5'"),
        ([-1], "no class '-1'"),
        ([True], "no class 'True'"),
        ([1, "bee"], "named twice"),
    ],
)
def test_a_class_that_is_not_there_is_refused_with_the_nearest_names(classes, words):
    with pytest.raises(UnknownClass, match=words):
        plan(build("plain"), pairs(), classes=classes, class_names=NAMES)


def test_no_class_at_all_is_refused():
    with pytest.raises(EmptySelection, match="name at least one"):
        plan(build("plain"), pairs(), classes=[], class_names=NAMES)


@pytest.mark.parametrize("sampling", ["confident", "random", "all"])
def test_a_class_without_samples_is_refused_however_they_are_chosen(sampling):
    given = [(images[labels != 3], labels[labels != 3]) for images, labels in pairs()]
    with pytest.raises(EmptySelection, match="3"):
        disassemble(build("plain"), given, classes=[1, 3], sampling=sampling)


@pytest.mark.parametrize("names", [NAMES[:4], (*NAMES, "fox")])
def test_too_few_or_too_many_class_names_are_refused(names):
    with pytest.raises(UnknownClass, match=f"{len(names)} class names were given, but the network has 5 logits"):
        plan(build("plain"), pairs(), classes=[0], class_names=names)


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(UnknownClass, match="the same name"):
        plan(build("plain"), pairs(), classes=[0], class_names=("ant", "ant", "bee", "cat", "dog"))


def test_a_class_with_an_empty_name_is_refused():
    with pytest.raises(UnknownClass, match="class 1 of the source has an empty name"):
        plan(build("plain"), pairs(), classes=[0], class_names=("ant", "", "bee", "cat", "dog"))

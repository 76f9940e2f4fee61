"""What people call classes: one place makes names and label numbers of it, for Python and for the command line."""

import numpy as np
import pytest
import torch

from model_lego.errors import BadConfig, EmptySelection, UnknownClass
from model_lego.parts.class_names import label_numbers, names_of, places_of, source_names, spelled

ANIMALS = ("ant", "bee", "cat", "dog")
ODD = ("0-2", "3-9", "tench, Tinca tinca", "goldfish", "7", 'the "best"', "a,b", "b")


def read(*texts, names=ODD):
    """Label numbers of classes as a command line has them."""
    return label_numbers(spelled(texts, names), names)


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["0-2"], (0,)),
        (["3-9"], (1,)),
        (["0-2,3-9"], (0, 1)),
        (["3-4"], (3, 4)),
        (["tench, Tinca tinca"], (2,)),
        (["goldfish,tench, Tinca tinca,7"], (3, 2, 4)),
        (["tench,Tinca tinca"], (2,)),
        (['"tench, Tinca tinca",goldfish'], (2, 3)),
        (['the "best"'], (5,)),
        (['goldfish, "the ""best"""'], (3, 5)),
        (["a,b"], (6,)),
        (["a,b,b"], (6, 7)),
        (["7"], (4,)),
        (["6,7"], (6, 4)),
        (["goldfish", "0-2"], (3, 0)),
        (["goldfish,3-9", "7"], (3, 1, 4)),
        ([" goldfish , , 7 "], (3, 4)),
    ],
)
def test_an_exact_name_wins_over_a_range_and_a_list(texts, numbers):
    assert read(*texts) == numbers


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["ant,bea"], "no class 'bea'; did you mean bee?"),
        (["ant, cow"], "no class 'cow'; it has ant, bee, cat, dog"),
        (["0-4"], "no class '4'"),
        (["ant", "0"], "named twice: 'ant'"),
        (["ant", "ant"], "named twice: 'ant'"),
        (["3-1"], "runs backwards"),
        (["0-99999999999"], "more than 100,000 classes"),
        (["9" * 5000], "no class '999"),
        ([" , "], "no class is named"),
        ([], "no class is named"),
        (["-1"], "no class '-1'"),
        (["1.0"], "no class '1.0'"),
        (["ant\nbee"], "cannot be read"),
    ],
)
def test_words_for_no_class(texts, words):
    with pytest.raises((UnknownClass, BadConfig), match=words):
        read(*texts, names=ANIMALS)


@pytest.mark.parametrize(
    ("classes", "numbers"),
    [
        (["cat", 0], (2, 0)),
        (range(1, 3), (1, 2)),
        (np.array([3, 1]), (3, 1)),
        (np.array(["cat", "ant"]), (2, 0)),
        ([np.int64(2), np.uint8(1), np.str_("dog")], (2, 1, 3)),
        (torch.tensor([2, 0]), (2, 0)),
        ([torch.tensor(2), torch.tensor(1, dtype=torch.uint8)], (2, 1)),
        (iter(["cat", "ant"]), (2, 0)),
        ({"dog": 3, "bee": 1}, (3, 1)),
        ("cat", (2,)),
        ("dog,0-1", (3, 0, 1)),
        (2, (2,)),
    ],
    ids=lambda value: str(value) if isinstance(value, str | int | tuple | list | dict) else type(value).__name__,
)
def test_classes_in_every_form(classes, numbers):
    found = label_numbers(classes, ANIMALS)
    assert found == numbers
    assert {type(number) for number in found} == {int}


@pytest.mark.parametrize(
    "wrong",
    [True, 1.0, np.float64(1), np.bool_(True), torch.tensor(1.0), torch.tensor(True), None, [1], b"ant"],
    ids=repr,
)
def test_what_is_no_class_is_refused(wrong):
    with pytest.raises(UnknownClass, match="give names, or label numbers as integers"):
        label_numbers(["ant", wrong], ANIMALS)


def test_classes_without_an_order_are_refused():
    with pytest.raises(BadConfig, match="no order"):
        label_numbers({"ant", "bee"}, ANIMALS)
    with pytest.raises(EmptySelection):
        label_numbers([], ANIMALS)


@pytest.mark.parametrize("number", ["0", "10", "-1"])
def test_in_python_a_text_among_others_is_a_name(number):
    with pytest.raises(UnknownClass, match=f"no class '{number}'"):
        label_numbers([number], ANIMALS)


@pytest.mark.parametrize(
    "given",
    [
        list(ANIMALS),
        np.array(ANIMALS),
        {"cat": 2, "ant": 0, "dog": 3, "bee": 1},
        {3: "dog", 1: "bee", 0: "ant", 2: "cat"},
        {np.int64(number): np.str_(name) for number, name in reversed(list(enumerate(ANIMALS)))},
        {name: torch.tensor(number) for number, name in reversed(list(enumerate(ANIMALS)))},
        iter(ANIMALS),
    ],
    ids=lambda given: type(given).__name__,
)
def test_names_of_classes_come_in_the_order_of_their_numbers(given):
    assert names_of(given) == ANIMALS


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ant": 0, "bee": 0}, "classes 'ant' and 'bee' have the same number, 0"),
        ({"ant": 0, "cat": 2}, "no class has the number 1, but 'ant' has 0 and 'cat' has 2"),
        ({1: "ant", 2: "bee"}, "no class has the number 0"),
        ({-1: "ant", 0: "bee"}, "no class has the number 1"),
        ({0: "ant", 1: "ant"}, "class 'ant' has two numbers"),
        ({"ant": "0"}, "not 'ant' to '0'"),
        ({"ant": True}, "not 'ant' to True"),
        ({0: 1}, "not 0 to 1"),
        ({"ant": 0, 1: 2}, "not 1 to 2"),
        ([0, 1], "0 is no name of a class; names are text, '0' for instance"),
        (np.array([0, 1]), "0 is no name of a class"),
        ("ants", "a list in the order of their numbers, or a mapping"),
        ({"ant", "bee"}, "a list in the order of their numbers, or a mapping"),
        (2, "a list in the order of their numbers, or a mapping"),
    ],
)
def test_names_that_do_not_fit_the_numbers_are_refused(given, words):
    with pytest.raises(UnknownClass, match=words):
        names_of(given)


def test_labels_are_read_by_a_mapping_too():
    assert places_of(("dog", "ant"), {"dog": 1, "ant": 0}).tolist() == [1, 0]


def test_classes_without_names_are_said_to_have_none():
    names = source_names(torch.nn.Linear(2, 10), None, 10)
    with pytest.raises(UnknownClass, match="no class 'cat'; it has classes 0 to 9, which have no names"):
        label_numbers(["cat"], names)
    with pytest.raises(UnknownClass, match="classes 0 to 9, which have no names"):
        label_numbers([10], names)
    with pytest.raises(UnknownClass, match="it has 3@"):
        label_numbers(["cat"], names[3:5])

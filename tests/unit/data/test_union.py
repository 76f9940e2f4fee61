"""Several data sets as one, with the map of their labels."""

import pytest
import torch

from model_lego.data import DataSplit, batches
from model_lego.data.sets import in_memory, resized, subset
from model_lego.data.union import joined, of_classes
from model_lego.errors import BadConfig, ClassClash, EmptySelection


def split(names, numbers, *, first):
    """Images whose only pixel is their number, counted from `first`; the test part counts on from 100."""
    parts = [
        in_memory(torch.arange(start, start + len(numbers)).float().view(-1, 1, 1, 1), torch.tensor(numbers))
        for start in (first, first + 100)
    ]
    return DataSplit(*parts, tuple(names))


def seen(images):
    pairs = list(batches(images, batch_size=3))
    return [(int(n), int(label)) for x, y in pairs for n, label in zip(x.flatten(), y, strict=True)]


ONE = split(["ant", "bee"], [1, 0, 1], first=0)
TWO = split(["cat", "dog", "elk"], [2, 0, 1, 2], first=10)


def test_the_second_set_counts_on_where_the_first_one_ends():
    both = joined([ONE, TWO])
    assert both.class_names == ("ant", "bee", "cat", "dog", "elk")
    assert seen(both.train) == [(0, 1), (1, 0), (2, 1), (10, 4), (11, 2), (12, 3), (13, 4)]
    assert seen(both.test) == [(100, 1), (101, 0), (102, 1), (110, 4), (111, 2), (112, 3), (113, 4)]


def test_a_class_that_both_have_is_refused_unless_it_is_the_same():
    other = split(["bee", "fox"], [0, 1], first=20)
    with pytest.raises(ClassClash, match="have a class 'bee'"):
        joined([ONE, other])
    both = joined([ONE, other], same=True)
    assert both.class_names == ("ant", "bee", "fox")
    assert seen(both.train) == [(0, 1), (1, 0), (2, 1), (20, 1), (21, 2)]


def test_parts_of_a_joined_set_keep_their_images():
    some = of_classes(joined([ONE, TWO]), ("elk", "ant"))
    assert some.class_names == ("elk", "ant")
    assert seen(some.train) == [(1, 1), (10, 0), (13, 0)]
    assert seen(subset(some.test, [0])) == [(110, 0), (113, 0)]


def test_subsets_of_subsets_can_be_joined():
    few = [of_classes(ONE, ("bee",)), of_classes(TWO, ("dog", "elk"))]
    assert seen(joined(few).train) == [(0, 0), (2, 0), (10, 2), (12, 1), (13, 2)]


def test_nothing_to_join_and_classes_that_are_not_there():
    with pytest.raises(BadConfig, match="no data set to join"):
        joined([])
    with pytest.raises(EmptySelection, match="no image of class 'cow'"):
        of_classes(ONE, ("ant", "cow"))


def test_a_number_of_images_for_each_class():
    images = in_memory(torch.arange(12).float().view(-1, 1, 1, 1), torch.tensor([0, 1, 2] * 4))
    labels = [label for _, label in seen(subset(images, [2, 0, 1], per_class=[1, None, 3]))]
    assert [labels.count(label) for label in range(3)] == [1, 4, 3]
    with pytest.raises(BadConfig, match="given for 2 classes, but there are 3"):
        subset(images, [0, 1, 2], per_class=[1, 2])
    with pytest.raises(BadConfig, match="0 images a class are none"):
        subset(images, [0, 1], per_class=[1, 0])


def test_images_are_brought_to_one_size_when_they_are_read():
    x = torch.rand(2, 3, 6, 4)
    small = resized(in_memory(x, torch.tensor([1, 0])), (2, 2))
    assert small.labels.tolist() == [1, 0]
    assert small.image(1).shape == (3, 2, 2)
    even = resized(in_memory(torch.full((1, 1, 8, 8), 0.25), torch.tensor([0])), (3, 3))
    assert torch.allclose(even.image(0), torch.full((1, 3, 3), 0.25))
    with pytest.raises(BadConfig, match="0 is no side"):
        resized(small, (2, 0))

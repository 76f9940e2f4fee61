"""Batches are read ahead by threads, in order, and without the images of classes that nobody wants."""

import threading
import time

import pytest
import torch

from model_lego.data import sets
from model_lego.data.batching import Mapped, only
from model_lego.data.sets import AHEAD, ImageSet, batches
from model_lego.errors import BadBatches


def numbered(count: int, read: list[int] | None = None, wait: float = 0.0) -> ImageSet:
    """Images that hold their own number; the numbers that were read are noted."""

    def image(number: int) -> torch.Tensor:
        time.sleep(wait)
        if read is not None:
            read.append(number)
        return torch.full((1, 2, 2), float(number))

    return ImageSet(torch.arange(count) % 4, image, torch.arange(count))


@pytest.mark.parametrize("seed", [None, 3])
def test_batches_come_in_order_whatever_thread_was_faster(seed):
    found = list(batches(numbered(23, wait=0.001), batch_size=4, shuffle_seed=seed))
    order = torch.cat([images[:, 0, 0, 0] for images, _ in found]).long()
    assert [len(labels) for _, labels in found] == [4, 4, 4, 4, 4, 3]
    assert torch.equal(torch.cat([labels for _, labels in found]), order % 4)
    assert sorted(order.tolist()) == list(range(23))
    assert (order.tolist() == list(range(23))) == (seed is None)


def test_only_so_many_batches_are_read_ahead():
    read: list[int] = []
    reader = iter(batches(numbered(40, read), batch_size=4))
    next(reader)
    time.sleep(0.2)
    assert len(read) == 4 * (1 + AHEAD)
    reader.close()
    assert len(read) == 4 * (1 + AHEAD)


def test_reading_goes_on_while_a_batch_is_used():
    main = threading.get_ident()
    threads = set()

    def image(number: int) -> torch.Tensor:
        threads.add(threading.get_ident())
        return torch.zeros(1, 2, 2)

    list(batches(ImageSet(torch.zeros(9, dtype=torch.int64), image, torch.arange(9)), batch_size=2))
    assert main not in threads


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_all_processors_share_a_batch_and_its_images_come_in_order(monkeypatch, threads):
    monkeypatch.setattr(sets, "processors", lambda: threads)
    together = threading.Barrier(min(threads, 6), timeout=10)

    def image(number: int) -> torch.Tensor:
        if number < 6 and number % -(-6 // threads) == 0:  # the first of each share
            together.wait()
        return torch.full((1, 2, 2), float(number))

    images = ImageSet(torch.arange(6), image, torch.arange(6))
    ((x, labels),) = batches(images, batch_size=6)
    assert x[:, 0, 0, 0].tolist() == labels.tolist() == list(range(6))


def test_an_error_while_reading_ahead_reaches_the_reader():
    def image(number: int) -> torch.Tensor:
        if number == 5:
            raise BadBatches("image 5 cannot be read")
        return torch.zeros(1, 2, 2)

    with pytest.raises(BadBatches, match="image 5 cannot be read"):
        list(batches(ImageSet(torch.zeros(9, dtype=torch.int64), image, torch.arange(9)), batch_size=2))


def test_images_of_other_classes_are_not_read_and_the_batches_keep_their_numbers():
    read: list[int] = []
    whole = batches(numbered(20, read), batch_size=3)
    some = list(only(Mapped(whole, lambda images: images + 100), [1, 2]))
    assert sorted(set(read) - {0}) == [number for number in range(20) if number % 4 in (1, 2)]
    for (images, labels), (every, all_labels) in zip(some, whole, strict=True):
        mine = torch.isin(all_labels, torch.tensor([1, 2]))
        assert torch.equal(labels, all_labels[mine])
        assert torch.equal(images, every[mine] + 100)


def test_batches_of_others_are_left_as_they_are():
    given = [(torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]))]
    assert only(given, [0]) is given

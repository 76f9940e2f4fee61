"""Trained networks for benchmarks: which are here, with which images, and whose they are."""

import numpy as np
import pytest
import torch

pytest.importorskip("benchmarks")

from benchmarks import trained
from benchmarks.accuracy.cases import NETWORKS

LABELS = np.repeat(np.arange(10)[::-1], 2)


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A folder of benchmark data without weights, whose images are as bright as their label."""
    monkeypatch.setenv("MODEL_LEGO_SHARED", str(tmp_path))
    (tmp_path / "data").mkdir()
    pixels = (LABELS[:, None, None, None] * np.ones((1, 32, 32, 3))).astype(np.uint8)
    arrays = {"x_train": pixels, "y_train": LABELS, "x_test": pixels[::2], "y_test": LABELS[::2]}
    np.savez(tmp_path / trained.DATA, **arrays, class_names=np.array(trained.NAMES))
    return tmp_path


def test_nothing_is_opened_without_images(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_LEGO_SHARED", str(tmp_path))
    assert [trained.opened(name) for name in NETWORKS.values()] == [None] * 4
    assert trained.cifar10() is None


def test_networks_of_the_zoo_are_absent_where_it_is_not_and_those_that_are_kept_are_here(shared):
    opened = [trained.opened(name) for name in NETWORKS.values()]
    assert opened[:2] == [None, None]
    for source in opened[2:]:
        assert source.names == trained.NAMES[:5]
        ((images, labels),) = source.train
        assert labels.tolist() == [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]  # in the order of the file
        assert torch.equal(labels, (255 * images[:, 0, 0, 0]).round().long())
        with torch.no_grad():
            assert source.model(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_who_opens_a_network_may_change_it(shared):
    name = "googlenet-quarter-cifar10-0to4"
    first, second = trained.opened(name), trained.opened(name, memory_format=torch.channels_last)
    weights = [next(source.model.parameters()) for source in (first, second)]
    assert [weight.is_contiguous() for weight in weights] == [True, False]
    assert torch.equal(*weights)
    with torch.no_grad():
        weights[0].zero_()
    assert bool(next(trained.opened(name).model.parameters()).any())

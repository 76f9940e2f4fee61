"""What every training shares: images in another order, the device and precision, state that is left alone."""

from itertools import chain

import pytest
import torch

from model_lego.data.batching import Mapped
from model_lego.data.sets import Batched, in_memory
from model_lego.errors import BadBatches, BadConfig, EmptySelection, ShapeMismatch
from model_lego.progress import quiet
from model_lego.training import TrainingSettings, Whole
from model_lego.training.accelerator import engine, precision
from model_lego.training.examples import Streamed, steps, streamed
from tests.unit.training.test_classifier import colours


def numbered(count, *, size=7, classes=4):
    """Images of one pixel that holds their number, in batches."""
    labels = torch.arange(count) % classes
    pixels = torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1)
    return list(zip(pixels.split(size), labels.split(size), strict=True))


def epoch(examples, size, seed):
    pairs = list(examples.drawn(size, torch.Generator().manual_seed(seed)))
    return [x.flatten().tolist() for x, _ in pairs], [labels.tolist() for _, labels in pairs]


@pytest.mark.parametrize("held", [1, 100, 2**20])  # bytes: a hold of two batches, of 25 images, of all
@pytest.mark.parametrize(("count", "size"), [(60, 8), (61, 8), (65, 8), (5, 8), (1, 8), (3, 1)])
def test_each_image_is_drawn_once_an_epoch_in_an_order_of_the_seed(count, size, held):
    looked = streamed(numbered(count), torch.arange(4), None, quiet, what="any")
    stream = Streamed(looked.batches, looked.places, looked.shape, looked.count, looked.digest, looked.example, held)
    found, labels = epoch(stream, size, 3)
    drawn = [int(number) for batch in found for number in batch]
    left_out = 1 if count % size == 1 and count > 1 and size > 1 else 0  # BatchNorm could not take it
    assert len(drawn) == len(set(drawn)) == count - left_out
    assert [number % 4 for number in drawn] == [label for batch in labels for label in batch]
    assert len(found) == steps(count, size)
    assert all(len(batch) == size for batch in found[:-1])
    assert (found, labels) == epoch(stream, size, 3)
    if count > 5:
        assert drawn != sorted(drawn)
        assert found != epoch(stream, size, 4)[0]


def test_a_small_hold_mixes_neighbours_and_a_large_one_everything():
    looked = streamed(numbered(400, size=10), torch.arange(4), None, quiet, what="any")
    spread = {}
    for held in (100, 2**20):
        stream = Streamed(looked.batches, looked.places, looked.shape, 400, "", looked.example, held)
        order = torch.tensor([number for batch in epoch(stream, 10, 0)[0] for number in batch])
        spread[held] = (order - torch.arange(400)).abs().mean()
    assert spread[100] < 40
    assert spread[2**20] > 100


@pytest.mark.parametrize("mapped", [False, True])
def test_image_sets_that_are_larger_than_the_hold_are_read_in_random_order(mapped):
    pixels = torch.arange(400, dtype=torch.float32).reshape(-1, 1, 1, 1)
    batches = Batched(in_memory(pixels, torch.arange(400) // 100), 10, None)
    batches = Mapped(batches, lambda x: x) if mapped else batches
    looked = streamed(batches, torch.tensor([0, 1, -1, 2]), None, quiet, what="any")
    stream = Streamed(batches, looked.places, looked.shape, 300, "", looked.example, held=160)
    found, _ = epoch(stream, 10, 0)
    order = torch.tensor(list(chain(*found)))
    assert sorted(order.tolist()) == [*range(200), *range(300, 400)]
    assert (order[:100] < 100).double().mean() < 0.6
    assert found == epoch(stream, 10, 0)[0] != epoch(stream, 10, 1)[0]


def test_images_of_other_classes_are_left_out_and_targets_are_places():
    stream = streamed(numbered(40), torch.tensor([1, -1, 0, -1]), None, quiet, what="any")
    found, labels = epoch(stream, 4, 0)
    assert len(stream) == 20
    pairs = zip(chain(*found), chain(*labels), strict=True)
    assert {(number % 4, label) for number, label in pairs} == {(0, 1), (2, 0)}


def test_the_digest_is_of_the_images_and_labels_in_any_order():
    def digest(batches):
        return streamed(batches, torch.arange(4), None, quiet, what="any").digest

    given = numbered(30)
    assert digest(given) == digest(given[::-1]) == digest(numbered(30, size=4))
    assert digest(given) != digest(numbered(29))
    assert digest(given) != digest([(x, (labels + 1) % 4) for x, labels in given])
    assert digest([(x + (x == 3), labels) for x, labels in given]) != digest(given)


@pytest.mark.parametrize(
    "form", [lambda x, y: x, lambda x, y: (x, y - 9), lambda x, y: [x]], ids=["bare", "pair", "list"]
)
def test_without_places_labels_are_not_looked_at(form):
    stream = streamed([form(x, y) for x, y in numbered(30)], None, None, quiet, what="any")
    found, labels = epoch(stream, 8, 0)
    assert sorted(number for batch in found for number in batch) == list(range(30))
    assert {label for batch in labels for label in batch} == {-1}


def test_batches_that_cannot_be_used_are_refused():
    places = torch.arange(4)
    with pytest.raises(BadBatches, match="one-shot"):
        streamed(iter(numbered(8)), places, None, quiet, what="any")
    with pytest.raises(BadBatches, match="one-shot"):
        streamed(iter(numbered(8)), None, None, quiet, what="any")
    with pytest.raises(BadBatches, match="label 3 of batch 0 is out of range"):
        streamed(numbered(8), places[:3], None, quiet, what="any")
    with pytest.raises(BadBatches, match="not a pair"):
        streamed(["words"], None, None, quiet, what="any")
    with pytest.raises(ShapeMismatch, match=r"takes \(3, 1, 1\)"):
        streamed(numbered(8), places, (3, 1, 1), quiet, what="any")
    with pytest.raises(EmptySelection, match="no image of the class cow"):
        streamed(numbered(8), torch.full((4,), -1), None, quiet, what="the class cow")


def test_batches_that_change_between_epochs_are_refused():
    class Shrinking:
        def __init__(self):
            self.count = 40

        def __iter__(self):
            self.count -= 2
            return iter(numbered(self.count))

    stream = streamed(Shrinking(), torch.arange(4), None, quiet, what="any")
    with pytest.raises(BadBatches, match=r"3\d images at first, now 3\d"):
        epoch(stream, 8, 0)


def test_an_image_set_leaves_out_a_last_single_image_too():
    assert [len(batch) for batch in epoch(Whole(colours(33)), 16, 0)[1]] == [16, 16]
    assert [len(batch) for batch in epoch(Whole(colours(34)), 16, 0)[1]] == [16, 16, 2]


@pytest.mark.parametrize(
    ("amp", "device", "bf16", "expected"),
    [
        (False, "cuda", True, "no"), (True, "cpu", True, "bf16"), ("auto", "cpu", True, "no"),
        ("auto", "cuda", True, "bf16"), ("auto", "cuda", False, "fp16"), (True, "cuda", False, "fp16"),
    ],
)  # fmt: skip
def test_precision_is_mixed_where_there_is_a_gpu(amp, device, bf16, expected):
    assert precision(amp, torch.device(device), bf16=bf16) == expected


def test_an_accelerator_of_the_surrounding_program_is_as_it_was():
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    try:
        outer = Accelerator(mixed_precision="bf16", cpu=True)
        with engine(False) as inner:
            assert inner.mixed_precision == "no"
        assert outer.mixed_precision == "bf16"
        with pytest.raises(RuntimeError, match="stop"), engine(False):
            raise RuntimeError("stop")
        assert AcceleratorState().mixed_precision == "bf16"
    finally:
        AcceleratorState._reset_state(True)
    with engine(False), engine(True) as inner:
        assert inner.mixed_precision != "no"


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadConfig, match="one process"), engine(False):
        pass


def test_an_unknown_precision_is_refused():
    with pytest.raises(BadConfig, match="amp 'half' is unknown"):
        TrainingSettings(amp="half")

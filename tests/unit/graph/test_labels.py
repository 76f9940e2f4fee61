"""Label algebra against plain loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_lego.graph import labels as lab

fast = settings(max_examples=100, deadline=None, derandomize=True)
EDGES = st.integers(1, 30).flatmap(
    lambda size: st.tuples(
        st.just(size), st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=40)
    )
)


def slow_components(size: int, edges: list[tuple[int, int]]) -> list[int]:
    """Repaint until nothing changes, then number the colours in the order in which they come up."""
    colour = list(range(size))
    for _ in range(size):
        for a, b in edges:
            colour[a] = colour[b] = min(colour[a], colour[b])
    numbers: dict[int, int] = {}
    return [numbers.setdefault(c, len(numbers)) for c in colour]


@fast
@given(EDGES)
def test_components_are_those_of_repainting(case):
    size, edges = case
    left, right = (torch.tensor([edge[side] for edge in edges], dtype=torch.int64) for side in (0, 1))
    assert lab.components(size, left, right).tolist() == slow_components(size, edges)


def test_a_long_chain_in_any_order_is_one_component():
    order = torch.randperm(999, generator=torch.Generator().manual_seed(0))
    assert lab.components(1001, order, order + 1).tolist() == [0] * 1000 + [1]


def test_no_edges_leave_every_point_alone():
    nothing = torch.empty(0, dtype=torch.int64)
    assert lab.components(4, nothing, nothing).tolist() == [0, 1, 2, 3]


def test_channels_lie_along_one_dimension():
    channels = torch.tensor([7, 8, 9])
    labels = lab.along(channels, 4, 1)
    assert labels.shape == (1, 3, 1, 1)
    assert lab.carried(labels) == (1,)
    full = lab.spread(labels, (2, 3, 4, 5))
    assert full.shape == (2, 3, 4, 5)
    assert full[1, :, 3, 2].tolist() == [7, 8, 9]
    assert torch.equal(lab.compress(full), labels)


def test_a_value_without_channels():
    labels = lab.neutral(3)
    assert labels.shape == (1, 1, 1)
    assert lab.carried(labels) == ()
    assert lab.vector(labels, (2, 4, 5), 1).tolist() == [lab.NONE] * 4


@fast
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 1000), st.data())
def test_compress_loses_nothing(shape, seed, data):
    constant = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    narrow = [1 if flat else size for flat, size in zip(constant, shape, strict=True)]
    start = torch.randint(0, 3, narrow, generator=torch.Generator().manual_seed(seed))
    full = start.expand(shape)
    found = lab.compress(full)
    assert torch.equal(lab.spread(found, shape), full)
    for dim in lab.carried(found):  # what is left really changes
        assert not bool((found == found.narrow(dim, 0, 1)).all())


def test_vector_reads_one_dimension_only():
    labels = lab.along(torch.tensor([4, 5]), 3, 2)
    assert lab.vector(labels, (2, 3, 2), -1).tolist() == [4, 5]
    assert lab.vector(labels, (2, 3, 2), 1) is None
    grid = torch.arange(6).reshape(1, 3, 2)
    assert lab.vector(grid, (2, 3, 2), 1) is None
    assert lab.vector(grid, (2, 3, 2), 2) is None


@pytest.mark.parametrize("size", [1, 3])
def test_one_channel_may_stand_at_all_positions(size):
    labels = torch.full((1, 1), 6)
    assert lab.vector(labels, (2, size), 1).tolist() == [6] * size

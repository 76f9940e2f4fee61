"""The equations on bounds: the same answer without rounding, all answers with it, and no more."""

import pytest
import torch
from torch import Tensor

from tests.support import oracles, rounded

ALPHA, BETA = 0.3, 0.2
NOTHING = torch.zeros(())


def drawn(seed: int) -> Tensor:
    """Contributions of a layer, some of them with ties, zeros, dead inputs or rows of nothing."""
    generator = torch.Generator().manual_seed(seed)
    shape = [int(torch.randint(1, most, (), generator=generator)) for most in (4, 5, 7)]
    s = torch.randn(shape, generator=generator, dtype=torch.float64)
    match seed % 5:
        case 1:
            s = s.round()
        case 2:
            s[:, :, 0] = 0
        case 3:
            s[:, 0] = -s[:, 0].abs()
        case 4:
            s[:, 0] = 1.5
    return s


def kept(s: Tensor, rounding: Tensor | float = 0.0) -> tuple[set[int], set[int]]:
    """The inputs that are kept for certain, and those that may be, all outputs being relevant."""
    rows = range(s.shape[1])
    bounds = rounded.kept_inputs(s, rows, alpha=ALPHA, beta=BETA, rounding=NOTHING + rounding)
    certain, possible = (set(each.nonzero().flatten().tolist()) for each in bounds)
    return certain, possible


def by_equations(s: Tensor) -> set[int]:
    return oracles.kept_inputs(s, range(s.shape[1]), alpha=ALPHA, beta=BETA)


def test_without_rounding_it_is_what_the_equations_keep():
    for seed in range(100):
        assert kept(drawn(seed)) == (by_equations(drawn(seed)),) * 2, seed


@pytest.mark.parametrize("rounding", [1e-6, 0.02, 0.3])
def test_what_numbers_within_rounding_give_lies_between(rounding):
    generator = torch.Generator().manual_seed(0)
    for seed in range(40):
        s = drawn(seed)
        certain, possible = kept(s, rounding)
        for _ in range(5):
            answer = by_equations(s + rounding * (2 * torch.rand(s.shape, generator=generator).double() - 1))
            assert certain <= answer <= possible, seed


def test_what_no_number_decides_within_rounding_is_decided():
    """No blanket pass: of layers without ties each input is, and of all with ties and zeros most are."""
    bounds = {seed: kept(drawn(seed), 1e-9) for seed in range(100)}
    assert all(bounds[seed] == (by_equations(drawn(seed)),) * 2 for seed in bounds if seed % 5 == 0)
    assert sum(certain == possible for certain, possible in bounds.values()) > 70


@pytest.mark.parametrize(
    ("row", "certain", "possible"),
    [
        ([0.0, ALPHA * (1 + 1e-5) + 1e-12, 1.0], {2}, {1, 2}),  # a share at alpha
        ([0.0, ALPHA + 1e-3, 1.0], {1, 2}, {1, 2}),
        ([0.0, ALPHA - 1e-3, 1.0], {2}, {2}),
        ([1e-12, 0.0, 5e-12], set(), {0, 1, 2}),  # sums of nothing: the last bits are the largest
        ([-1.0, -2.0, -3.0], {0}, {0}),  # nothing for certain
        ([2.0, 2.0, 2.0], set(), {0, 1, 2}),  # equal, or nearly
        ([2.0], {0}, {0}),
        ([-2.0], {0}, {0}),
    ],
    ids=str,
)
def test_by_hand(row, certain, possible):
    assert kept(torch.tensor([[row]], dtype=torch.float64), 1e-10) == (certain, possible)


def test_a_count_that_is_undecided_leaves_the_allocation_open():
    """Where one output of two may ask for the second input, that is kept perhaps; where one of ten may, it is not."""
    sure, perhaps = [1.0, 0.0, 0.0], [1.0, ALPHA * (1 + 1e-5), 0.0]
    assert kept(torch.tensor([[sure, perhaps]], dtype=torch.float64), 1e-10) == ({0}, {0, 1})
    assert kept(torch.tensor([[*[sure] * 9, perhaps]], dtype=torch.float64), 1e-10) == ({0}, {0})

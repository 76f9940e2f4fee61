"""Equations (4)-(8) on contributions that are known but for rounding: which inputs are kept for certain, which perhaps.

The same equations as in oracles.py, on bounds. A value is undecided only where a number that decides lies within
rounding of what it is compared with; where nothing is rounded both answers are that of `oracles.kept_inputs`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tests.support.oracles import EPS, EQUAL, mean_contribution


class Bounds(NamedTuple):
    """The least and the largest that numbers can be; of choices, those that are certain and those that are possible."""

    low: Tensor
    high: Tensor

    def sum(self) -> "Bounds":
        """Of a matrix, of each column."""
        return Bounds(self.low.sum(0), self.high.sum(0))


def ends(values: Bounds) -> tuple[Bounds, Bounds]:
    """The smallest and the largest of some values."""
    return Bounds(*(each.min() for each in values)), Bounds(*(each.max() for each in values))


def normalised(values: Bounds) -> Bounds:
    """(4) of one row, and (7). It grows with the value, and falls with the smallest and with the largest one."""
    smallest, largest = ends(values)
    below, above = torch.minimum(smallest.high, values.low), torch.maximum(largest.low, values.high)
    return Bounds(
        (values.low - below) / (largest.high - below + EPS),
        (values.high - smallest.low) / (above - smallest.low + EPS),
    )


def softest(soft: Bounds) -> Bounds:
    """Which value is the largest one; of equal ones the first, where they are equal for certain."""
    possible = soft.high >= soft.low.max()
    if torch.equal(soft.low, soft.high):
        possible = torch.arange(len(possible)) == int(possible.to(torch.uint8).argmax())
    return Bounds(possible & (possible.sum() == 1), possible)


def hard(values: Bounds, threshold: float, soft: Bounds) -> Bounds:
    """(4) and (5) of one row, or (7) and (8), with the edges: equal and positive keeps all, zero keeps the softest."""
    smallest, largest = ends(values)
    alone = len(values.low) == 1  # it is equal to itself, whatever it is
    zero = Bounds(largest.high <= 0, largest.low <= 0)
    equal = Bounds(
        (largest.low > 0) & (alone | (largest.high - smallest.low <= EQUAL * largest.low)),
        (largest.high > 0) & (alone | (largest.low - smallest.high <= EQUAL * largest.high)),
    )
    everything = torch.ones(len(values.low), dtype=torch.bool)
    share = normalised(values)
    answers = []
    if zero.high:
        answers.append(softest(soft))
    if equal.high and not zero.low:
        answers.append(Bounds(everything, everything))
    if not (zero.low or equal.low or alone):
        answers.append(Bounds(share.low >= threshold, share.high >= threshold))
    return Bounds(
        torch.stack([answer.low for answer in answers]).all(0), torch.stack([answer.high for answer in answers]).any(0)
    )


def kept_inputs(s: Tensor, relevant: Sequence[int], *, alpha: float, beta: float, rounding: Tensor) -> Bounds:
    """(3)-(8) of one layer for one class, as `oracles.kept_inputs`; `rounding` is how far off each of `s` may be."""
    rows = Bounds(*(mean_contribution(s + sign * rounding)[sorted(relevant)].double() for sign in (-1, 1)))
    soft = rows.sum()
    edges = [hard(Bounds(low, high), alpha, soft) for low, high in zip(*rows, strict=True)]
    counts = Bounds(*(torch.stack(each).double() for each in zip(*edges, strict=True))).sum()
    return hard(counts, beta, soft)

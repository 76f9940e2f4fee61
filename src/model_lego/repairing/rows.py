"""Fits of a layer to rows of images in two halves: all rows fit it, the halves choose lambda."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

from model_lego.processes import Group, in_all
from model_lego.repairing.least_squares import Fit, Moments, ridge, ridge_dual, shift_only
from model_lego.repairing.strengths import strength_by_moments, strength_by_rows

#: Groups x rows x features, groups x rows x outputs, and how many rows in front are of the first half of the images.
Rows = tuple[Tensor, Tensor, int]


def fit_many(rows: Iterable[Rows], weight: Tensor, strength: float | None, group: Group) -> Fit:
    """Fit a layer of this weight (groups x features x outputs) by sums over its rows; `strength` None chooses one."""
    halves = _summed(rows, weight, group)
    strength = strength or strength_by_moments(halves, weight)
    return ridge(halves[0].joined(halves[1]), weight, strength)


def fit_few(rows: Iterable[Rows], weight: Tensor, strength: float | None, group: Group) -> Fit:
    """The same to fewer rows than it has features, which are held."""
    held = [(x.double().cpu(), y.double().cpu(), first) for x, y, first in rows]
    every = list(chain.from_iterable(in_all(lambda: held, group)))
    xs, ys = zip(*((x.tensor_split([first], 1), y.tensor_split([first], 1)) for x, y, first in every), strict=True)
    (x_first, x_second), (y_first, y_second) = (
        [torch.cat(half, 1) for half in zip(*chunks, strict=True)] for chunks in (xs, ys)
    )
    strength = strength or strength_by_rows(((x_first, y_first), (x_second, y_second)), weight)
    return ridge_dual(torch.cat([x_first, x_second], 1), torch.cat([y_first, y_second], 1), weight, strength)


def fit_means(rows: Iterable[Rows], weight: Tensor, group: Group) -> Fit:
    """Fit the intercept alone."""
    first, second = _summed(rows, weight, group)
    _, _, x_mean, y_mean = first.joined(second).centred()
    return shift_only(x_mean, y_mean, weight)


def _summed(rows: Iterable[Rows], weight: Tensor, group: Group) -> tuple[Moments, Moments]:
    """The sums over the rows of both halves, in all processes."""
    halves = Moments(*weight.shape), Moments(*weight.shape)
    for x, y, first in rows:
        halves[0].add(x[:, :first], y[:, :first])
        halves[1].add(x[:, first:], y[:, first:])
    for half in halves:
        half.add_up(group)
    return halves

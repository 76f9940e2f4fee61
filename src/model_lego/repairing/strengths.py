"""Which lambda: the one with which a fit to one half of the images tells best what the other half gives.

A layer that reads few rows of many features, and one whose inputs are far from what its weights were trained with, want
more of it than a layer with rows to spare. Both halves are judged by the fit to the other.
"""

from collections.abc import Callable
from functools import cache

from torch import Tensor

from model_lego.repairing.least_squares import Moments, ridge, ridge_dual

#: What is tried, in parts of the mean diagonal of X'X. Of many depthwise layers still more would tell the other half
#: better, but the logits worse: what a layer in front lost is then no longer made up for.
STRENGTHS = (1e-2, 3e-2, 1e-1, 3e-1)
#: Where the search begins: it goes on as long as errors fall.
BEGIN = 2
#: Where one half has no rows.
UNTRIED = 1e-2
#: A smaller share of an error is rounding.
ROUNDING = 1e-9

#: Inputs and outputs of some images: groups x rows x features, groups x rows x outputs.
Half = tuple[Tensor, Tensor]


def strength_by_moments(halves: tuple[Moments, Moments], weight: Tensor) -> float:
    """Lambda for a layer of this weight (groups x features x outputs), by the sums over the rows of both halves."""
    if not all(int(half.rows) for half in halves):
        return UNTRIED
    others = [(half.rows, *half.centred()) for half in halves[::-1]]

    def error(strength: float) -> float:
        fits = [ridge(half, weight, strength) for half in halves]
        return sum(_error(*other, weight + fit.change, fit.intercept) for fit, other in zip(fits, others, strict=True))

    return _least(error)


def strength_by_rows(halves: tuple[Half, Half], weight: Tensor) -> float:
    """The same by the rows themselves, where they are fewer than the features."""
    if not all(x.shape[1] for x, _ in halves):
        return UNTRIED

    def error(strength: float) -> float:
        total = 0.0
        for (x, y), (x_other, y_other) in (halves, halves[::-1]):
            fit = ridge_dual(x, y, weight, strength)
            total += float((y_other - x_other @ (weight + fit.change) - fit.intercept[:, None]).square().sum())
        return total

    return _least(error)


def _error(
    rows: Tensor, gram: Tensor, cross: Tensor, x_mean: Tensor, y_mean: Tensor, weight: Tensor, intercept: Tensor
) -> float:
    """Squared error of a fit on rows of these sums, less the squares of the outputs, which no fit changes."""
    missed = y_mean - (x_mean[:, None] @ weight)[:, 0] - intercept
    return float((weight * (gram @ weight - 2 * cross)).sum() + rows * missed.square().sum())


def _least(error: Callable[[float], float]) -> float:
    """The lambda from which errors fall neither way."""
    at = cache(lambda place: error(STRENGTHS[place]))
    place = BEGIN
    for step in (1, -1):
        while 0 <= place + step < len(STRENGTHS) and at(place + step) < at(place) - ROUNDING * abs(at(place)):
            place += step
    return STRENGTHS[place]

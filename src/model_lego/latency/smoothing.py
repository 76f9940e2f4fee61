"""Measured times by width, made fit to be asked at any width: monotone, and straight between the widths measured."""

from bisect import bisect_right
from collections.abc import Sequence

from torch import Tensor


def monotone(times: Tensor) -> Tensor:
    """The same, nowhere falling along the last two dimensions: the mean of the envelopes from below and from above."""
    below, above = times, times
    for dim in (-2, -1):
        below = below.cummax(dim).values
        above = above.flip(dim).cummin(dim).values.flip(dim)
    return (below + above) / 2


def between(widths: Sequence[int], width: float) -> tuple[int, float, float]:
    """The measured width below one, how far it is on the way to the next, and one over that distance.

    Below the smallest and above the largest the time is that of the smallest and the largest.
    """
    if len(widths) == 1 or width < widths[0]:
        return 0, 0.0, 0.0
    place = min(bisect_right(widths, width), len(widths) - 1) - 1
    step = widths[place + 1] - widths[place]
    share = (width - widths[place]) / step
    return (place, share, 1 / step) if share <= 1 else (place, 1.0, 0.0)

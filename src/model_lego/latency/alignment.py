"""To multiples of which number widths are best rounded up on a device, told by times at widths next to each other."""

from collections.abc import Sequence
from statistics import fmean

#: Widths whose times tell, and numbers that are tried.
PROBED = range(32, 65, 2)
TRIED = (32, 16, 8, 4)
#: Share of what wider layers would take, were time proportional to width, that rounding up may cost.
FREE = 0.25


def multiple_of(widths: Sequence[int], times: Sequence[float]) -> int:
    """The largest number to whose multiples widths can be rounded up at hardly any cost; 1 where there is none.

    `times` are those of layers of these widths, of which the first and the last are multiples of all numbers tried.
    """
    taken = dict(zip(widths, times, strict=True))
    slope = (times[-1] - times[0]) / (widths[-1] - widths[0])
    if slope <= 0:
        return 1
    for number in TRIED:
        rounded = {width: -(-width // number) * number for width in widths}
        if not all(wide in taken for wide in rounded.values()):
            continue
        more = fmean(taken[wide] - taken[width] for width, wide in rounded.items())
        if more <= FREE * slope * fmean(wide - width for width, wide in rounded.items()):
            return number
    return 1

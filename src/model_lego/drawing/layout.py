"""Where the channels of a column stand: own ones of each subject together, those that several share in the middle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

#: Additional height between the blocks of a column, where that between two channels is 1.
BLOCK_GAP = 1.5
#: Height of the tallest column at least: so few channels do not stand far apart.
LEAST_SPAN = 14


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The channels of a column that are drawn: places in the column, owners (-1: shared), heights."""

    places: Tensor
    owners: Tensor
    heights: Tensor  # the middle of the column is 0, the distance of two channels 1
    used: int  # channels that some subject uses
    whole: int

    def drawn(self) -> Tensor:
        """For each channel of the column the number of its dot, -1 for none."""
        dots = torch.full((self.whole,), -1, dtype=torch.int64)
        dots[self.places] = torch.arange(len(self.places))
        return dots


def column(relevant: Tensor, contributions: Tensor, *, most: int) -> Column:
    """Lay out a column: `relevant` and `contributions` are subjects x channels; at most about `most` are drawn.

    Where there are more, each block keeps its share of the dots, for the channels that contribute most.
    """
    counts = relevant.sum(0)
    used = counts > 0
    owners = torch.where(counts > 1, -1, relevant.int().argmax(0))
    strength = torch.where(relevant, contributions, 0).amax(0)
    share = min(1.0, most / max(1, int(used.sum())))
    blocks = []
    for owner in _order(len(relevant)):
        mine = (used & (owners == owner)).nonzero().flatten()
        keep = max(1, round(share * len(mine)))
        blocks.append(mine[strength[mine].argsort(descending=True, stable=True)[:keep]].sort().values)
    blocks = [block for block in blocks if len(block)]
    places = torch.cat(blocks) if blocks else torch.zeros(0, dtype=torch.int64)
    return Column(places, owners[places], _heights(blocks), int(used.sum()), relevant.shape[1])


def _order(subjects: int) -> list[int]:
    """Owners from bottom to top: half of the subjects, what is shared, the other half."""
    half = subjects // 2
    return [*reversed(range(subjects - half, subjects)), -1, *reversed(range(subjects - half))]


def _heights(blocks: Sequence[Tensor]) -> Tensor:
    """Heights of the dots, block by block, around the middle."""
    found, at = [], 0.0
    for block in blocks:
        found.append(at + torch.arange(len(block)))
        at = float(found[-1][-1]) + 1 + BLOCK_GAP
    if not found:
        return torch.zeros(0)
    heights = torch.cat(found)
    return heights - heights[-1] / 2


def to_unit(columns: Sequence[Column]) -> list[Column]:
    """Bring the heights of all columns by one scale to 0..1."""
    tallest = max(LEAST_SPAN, *(2 * float(one.heights.max()) for one in columns if len(one.heights)))
    return [replace(one, heights=0.5 + one.heights / tallest) for one in columns]

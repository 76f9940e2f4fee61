"""Where the channels of a column stand: own ones of each subject together, those that several share in the middle."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Height between two channels, in heights of a column.
GAP = 1 / 36
#: Additional height between the blocks of a column.
BLOCK_GAP = 1 / 24


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The channels of a column that are drawn: places in the column, owners (-1: shared), heights in 0..1."""

    places: Tensor
    owners: Tensor
    heights: Tensor
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
        found.append(at + GAP * torch.arange(len(block)))
        at = float(found[-1][-1]) + GAP + BLOCK_GAP
    if not found:
        return torch.zeros(0)
    heights = torch.cat(found)
    heights = heights / max(1.0, float(heights[-1]))
    return heights + (1 - float(heights[-1])) / 2

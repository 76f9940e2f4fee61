"""Blocks of channels that must keep equal numbers: filled up, and where they overlap solved as an integer program.

A network that shuffles its channels deals the same ones out over other blocks again and again. To fill one of these
blocks up unbalances the next, until everything is kept; the smallest set that suits all of them is found instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.channels import Balance, ChannelGraph


@dataclass(frozen=True, slots=True, eq=False)
class Knot:
    """Balances that have channels in common.

    A *cell* is a set of channels that lie in the same blocks, equally often, and in the same group: they can stand for
    each other. `rows` holds a matrix for each balance, blocks x cells: how often a channel of a cell lies in a block.
    """

    cells: tuple[Tensor, ...]
    rows: tuple[Tensor, ...]
    groups: Tensor  # number of the group of each cell

    @property
    def plain(self) -> bool:
        """Whether there is one partition into blocks only: then each can be filled up for itself."""
        return len(self.rows) == 1 and bool((self.rows[0].sum(0) == 1).all())

    @property
    def blocks(self) -> list[Tensor]:
        """The blocks of a plain one."""
        return [torch.cat([self.cells[place] for place in row.nonzero().reshape(-1)]) for row in self.rows[0]]


def joined(balances: Sequence[Balance]) -> tuple[Balance, ...]:
    """Balances with those that have a block in common as one: all their blocks are equal."""
    found: list[Balance] = []
    for balance in balances:
        marks = {*map(lab.set_of, balance.blocks)}
        same = [other for other in found if not marks.isdisjoint(map(lab.set_of, other.blocks))]
        found = [other for other in found if not any(other is each for each in same)]
        if same:
            blocks = {lab.set_of(block): block for each in (*same, balance) for block in each.blocks}
            filled = any(each.filled for each in (*same, balance))
            found.append(Balance(torch.stack(list(blocks.values())), same[0].where, filled))
        else:
            found.append(balance)
    return tuple(found)


def knots(graph: ChannelGraph) -> tuple[Knot, ...]:
    """The balances of a network, those that overlap together."""
    if not graph.balances:
        return ()
    flat = [balance.blocks.reshape(-1) for balance in graph.balances]
    left, right = (torch.cat([channels[side] for channels in flat]) for side in (slice(None, -1), slice(1, None)))
    number = lab.components(graph.width, left, right)
    together: dict[int, list[Tensor]] = {}
    for balance in graph.balances:
        together.setdefault(int(number[balance.blocks[0, 0]]), []).append(balance.blocks)
    return tuple(_knot(graph, blocks) for blocks in together.values())


def _knot(graph: ChannelGraph, balances: list[Tensor]) -> Knot:
    channels = torch.cat([blocks.reshape(-1) for blocks in balances]).unique()
    found: dict[bytes, Tensor] = {}
    for blocks in balances:
        places = torch.searchsorted(channels, blocks)
        counts = torch.zeros(len(blocks), len(channels), dtype=torch.int64)
        counts.scatter_add_(1, places, torch.ones_like(places))
        found.setdefault(counts.numpy().tobytes(), counts)
    marks = torch.cat([graph.group_of[channels][None], *found.values()])
    kinds, cell = marks.unique(dim=1, return_inverse=True)
    sizes = [len(counts) for counts in found.values()]
    return Knot(
        cells=tuple(channels[cell == number] for number in range(kinds.shape[1])),
        rows=tuple(kinds[1:].split(sizes)),
        groups=kinds[0],
    )


def balance(knot: Knot, keep: Tensor, scores: Tensor) -> None:
    """Keep more channels, in place, until all blocks keep equal numbers, and at least one: as few as can be.

    Of channels that can stand for each other those with the highest `scores` are added.
    """
    if knot.plain:
        target = max(1, *[int(keep[block].sum()) for block in knot.blocks])
        for block in knot.blocks:
            keep_best(block, target, keep, scores)
        return
    for cell, count in zip(knot.cells, _smallest(knot, keep, scores), strict=True):
        keep_best(cell, count, keep, scores)


def inseparable(knot: Knot, frozen: Tensor) -> Tensor:
    """Channels none of which can ever go: without any of them some blocks do not keep equal numbers.

    `frozen` is one bool a channel of the graph: those that stay anyway.
    """
    if knot.plain:
        full = any(len(block) == 1 or bool(frozen[block].all()) for block in knot.blocks)  # no block is emptied
        bound = list(knot.cells) if full else []
    else:
        least = torch.tensor([int(frozen[cell].sum()) for cell in knot.cells])
        bound = [cell for place, cell in enumerate(knot.cells) if _least_of(knot, place, least) == len(cell)]
    bound = [cell[~frozen[cell]] for cell in bound]
    return torch.cat(bound) if bound else torch.empty(0, dtype=torch.int64)


def _least_of(knot: Knot, number: int, least: Tensor) -> int:
    weights = torch.zeros(len(knot.cells))
    weights[number] = 1
    return _solved(knot, least, weights)[number]


def _smallest(knot: Knot, keep: Tensor, scores: Tensor) -> list[int]:
    """How many channels of each cell to keep: as few as can be; of equal sums, those of the better cells."""
    level = torch.tensor([float(scores[cell].mean()) for cell in knot.cells])
    ties = 1e-3 * (level - level.min()) / (level.max() - level.min()).clamp(min=1e-30)
    return _solved(knot, torch.tensor([int(keep[cell].sum()) for cell in knot.cells]), 1 - ties)


def _solved(knot: Knot, least: Tensor, weights: Tensor) -> list[int]:
    """The numbers of kept channels with the smallest weighted sum: all blocks equal, no block and no group empty."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    sizes = np.array([len(cell) for cell in knot.cells])
    constraints = []
    for counts in knot.rows:
        rows = counts.numpy()
        constraints += [LinearConstraint(rows[1:] - rows[:1], 0, 0), LinearConstraint(rows[:1], 1, np.inf)]
    members = knot.groups[None] == knot.groups.unique()[:, None]
    constraints.append(LinearConstraint(members.numpy().astype(float), 1, np.inf))
    found = milp(
        weights.numpy(), integrality=np.ones_like(sizes), bounds=Bounds(least.numpy(), sizes), constraints=constraints
    )
    assert found.x is not None, found.message  # to keep everything always fits
    return [round(count) for count in found.x]


def keep_best(channels: Tensor, count: int, keep: Tensor, scores: Tensor) -> None:
    """Keep `count` of these channels, in place: those that are kept already, then those with the highest scores."""
    missing = count - int(keep[channels].sum())
    if missing > 0:
        free = channels[~keep[channels]]
        order = torch.argsort(scores[free], descending=True, stable=True)
        keep[free[order[:missing]]] = True

"""Blocks that must keep equal numbers: the smallest completion, by trying every set; and what no set can leave."""

import itertools

import pytest
import torch
from torch import nn

from model_lego.cutting.tracing import trace
from model_lego.graph import ChannelGraph, select
from model_lego.graph.balancing import knots
from tests.support.plans import traced
from tests.support.tiny.coupled import ShuffleUnit
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import inputs


def shuffled(width: int, units: int) -> ChannelGraph:
    torch.manual_seed(0)
    model = nn.Sequential(unit(3, width), *(ShuffleUnit(width) for _ in range(units)), Head(width))
    return trace(model.double().eval(), inputs("plain", batch=2))


GRAPHS = {
    "two shuffles": lambda: shuffled(8, 2),
    "three shuffles": lambda: shuffled(16, 3),
    "groups of a norm and of a convolution": lambda: traced("norm_groups_grouped")[1],
    "a grouped convolution": lambda: traced("grouped")[1],
    "halves": lambda: traced("split_halves")[1],
}


def tied(graph: ChannelGraph) -> list[list[int]]:
    """The channels of balances that overlap, by plain merging of sets."""
    sets = [set(balance.blocks.flatten().tolist()) for balance in graph.balances]
    merged: list[set[int]] = []
    for one in sets:
        touching = [other for other in merged if other & one]
        merged = [other for other in merged if not other & one] + [one.union(*touching)]
    return [sorted(one) for one in merged]


def fits(graph: ChannelGraph, channels: list[int], chosen: set[int]) -> bool:
    """Whether a set leaves all blocks equal and neither a block nor a group without a channel."""
    for balance in graph.balances:
        rows = balance.blocks.tolist()
        if not set(rows[0]) <= set(channels):
            continue
        counts = {sum(channel in chosen for channel in row) for row in rows}
        if len(counts) > 1 or counts == {0}:
            return False
    groups = {int(graph.group_of[channel]) for channel in channels}
    return groups == {int(graph.group_of[channel]) for channel in chosen}


def smallest(graph: ChannelGraph, channels: list[int], wish: set[int]) -> int:
    """The size of the smallest set that holds the wish and fits, by trying all of them."""
    free = [channel for channel in channels if channel not in wish]
    for added in range(len(free) + 1):
        for more in itertools.combinations(free, added):
            if fits(graph, channels, wish | set(more)):
                return len(wish) + added
    raise AssertionError("to keep everything fits")


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("seed", range(4))
def test_a_wish_is_completed_by_as_few_channels_as_can_be(name, seed):
    graph = GRAPHS[name]()
    for channels in (each for each in tied(graph) if len(each) <= 16):
        generator = torch.Generator().manual_seed(seed)
        wish = {channel for channel in channels if float(torch.rand(1, generator=generator)) < 0.2}
        wanted = torch.zeros(graph.width, dtype=torch.bool)
        wanted[sorted(wish)] = True
        scores = torch.rand(graph.width, generator=generator, dtype=torch.float64)
        kept = select(graph, wanted, logits=[0], scores=scores).keep
        found = {channel for channel in channels if bool(kept[channel])}
        assert wish <= found
        assert fits(graph, channels, found)
        assert len(found) == smallest(graph, channels, wish)


def test_of_channels_that_can_stand_for_each_other_the_best_are_kept():
    graph = shuffled(8, 2)
    scores = torch.arange(graph.width, dtype=torch.float64)
    kept = select(graph, torch.zeros(graph.width, dtype=torch.bool), logits=[0], scores=scores).keep
    cells = [cell.tolist() for knot in knots(graph) for cell in knot.cells]
    assert any(0 < int(kept[cell].sum()) < len(cell) for cell in cells)
    for cell in cells:
        chosen = [channel for channel in cell if bool(kept[channel])]
        assert chosen == sorted(cell)[len(cell) - len(chosen) :]


def grouped(outputs: int) -> ChannelGraph:
    """A grouped convolution of four groups, of which each writes so many channels."""
    torch.manual_seed(0)
    model = nn.Sequential(unit(3, 8), nn.Conv2d(8, 4 * outputs, 3, groups=4), nn.ReLU(), Head(4 * outputs))
    return trace(model.double().eval(), inputs("plain", batch=2))


BOUND = {
    "four units in a row, which hold the whole stream": (lambda: traced("shuffles_bound")[1], {0}),
    "one output a group": (lambda: grouped(1), {8, 0}),
    "two outputs a group": (lambda: grouped(2), {8}),
    "three outputs a group": (lambda: grouped(3), {8, 12}),
}


@pytest.mark.parametrize("name", BOUND)
def test_what_no_set_can_leave_is_frozen_and_nothing_else_is(name):
    graph = BOUND[name][0]()
    for channels in tied(graph):
        movable = leavable(graph, channels)
        assert {channel for channel in channels if not bool(graph.frozen[channel])} == movable
    assert {len(leavable(graph, channels)) for channels in tied(graph)} == BOUND[name][1]


def leavable(graph: ChannelGraph, channels: list[int]) -> set[int]:
    """Channels that some set without them, smaller than all, can do without."""
    leaving = [
        {channel for channel in channels if channel not in gone}
        for size in range(1, len(channels))
        for gone in itertools.combinations(channels, size)
    ]
    return set().union(*(set(channels) - kept for kept in leaving if fits(graph, channels, kept)))

"""trace: the channel graph, with every number that may be written into the forward tried out.

`x.view(-1, 400)` and `x.view(-1, x.size(1) * 25)` export to the same operator. Which one it is shows when a network
that was cut there runs, or does not. So the suspects are cut on trial, and those that fail are kept whole.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.verification import check_cut
from model_lego.errors import CutMismatch
from model_lego.graph import RULES, ChannelGraph, ChannelSelection, read_graph, select
from model_lego.graph.coupling import with_frozen
from model_lego.graph.leftovers import clear_away
from model_lego.graph.rule import OpRule
from model_lego.graph.selection import cells_of, without_heads
from model_lego.parts.wrappers import unwrapped

ELSEWHERE = "the forward takes the number of channels from elsewhere"
#: How often halves are drawn until each cell that can be cut is.
DRAWS = 8
#: What is kept of groups in turn where values are multiplied: of equal shares, a width that a forward takes from what
#: it reads (a stream) would be right for what it makes (heads), by chance.
SHARES = (1 / 2, 1 / 3, 2 / 3)


def trace(model: nn.Module, example: Tensor, *, rules: Mapping[object, OpRule] = RULES) -> ChannelGraph:
    """Read the channel graph of a classifier; the model is left as it is.

    `example` is one image or a batch (B x C x H x W) like those the network takes. Channels whose number is written
    into the forward come out frozen, with the layer. What wraps the network is left out (`parts/wrappers.py`). Raises
    UnsupportedOpError, RefusedError, TraceFailed, ShapeMismatch.
    """
    model = unwrapped(model)
    graph = read_graph(model, example, rules=rules)
    lines = frozenset(suspect.line for suspect in graph.suspects)
    if not lines or (_survives(model, graph, example) and _survives_alone(model, graph, example)):
        return graph
    if graph.attention:  # its heads may go where their width may not
        stiff = read_graph(model, example, rules=rules, program=graph.program, stiff=True)
        if _one_of_many(model, stiff, example) and _survives_alone(model, stiff, example):
            return stiff
    if (matched := _matched(model, graph, example)) is not None:
        return matched
    whole = {line for line in lines if not _line_survives(model, graph, example, line, lines)}
    graph = read_graph(model, example, rules=rules, program=graph.program, whole=frozenset(whole))
    if _survives(model, graph, example):
        return graph
    graph = read_graph(model, example, rules=rules, program=graph.program, whole=lines)
    failing = _failing(model, graph, example, tuple(group.channels for group in graph.groups))
    for channels in failing:
        graph = with_frozen(graph, channels, ELSEWHERE)
    return graph


def keeps_fewer_classes(model: nn.Module, graph: ChannelGraph, example: Tensor, labels: Sequence[int]) -> bool:
    """Whether a network runs with some of its logits alone: not where their number is written into its forward.

    It is tried where the forward has numbers in it that may be one; the network is left as it is.
    """
    if not graph.suspects or len(labels) == len(graph.head):
        return True
    selection = select(graph, torch.ones(graph.width, dtype=torch.bool), logits=labels)
    try:
        check_cut(slice_model(model, graph, selection).module, model, graph, selection, example)
    except CutMismatch:
        return False
    return True


def _matched(model: nn.Module, graph: ChannelGraph, example: Tensor) -> ChannelGraph | None:
    """The graph where what is viewed by the width of a stream keeps as many channels; None where that is not enough."""
    for stiff in (False, True) if graph.attention else (False,):
        matched = read_graph(model, example, rules=graph.rules, program=graph.program, stiff=stiff, matched=True)
        if _one_of_many(model, matched, example):
            return matched
    return None


def _survives_alone(model: nn.Module, graph: ChannelGraph, example: Tensor) -> bool:
    """Whether heads can go without others: half of a stream might go with half of the heads, by chance."""
    inside = ((graph.head_of >= 0) | graph.is_attention_head).nonzero().reshape(-1)
    return len(inside) == 0 or _survives(model, graph, example, inside, turns=1)


def _line_survives(model: nn.Module, graph: ChannelGraph, example: Tensor, line: str, lines: frozenset[str]) -> bool:
    """Whether a cut survives with all suspects kept whole but those of one line, in one turn: what is left is tried."""
    only = read_graph(model, example, rules=graph.rules, program=graph.program, whole=lines - {line})
    return _one_of_many(model, only, example, turns=1)


def _failing(model: nn.Module, graph: ChannelGraph, example: Tensor, groups: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Those of some groups of channels that make the network fail when they are cut."""
    mine = torch.cat(groups)
    if not bool(graph.cuttable[mine].any()) or _one_of_many(model, graph, example, mine):
        return ()
    if len(groups) == 1:
        return groups
    middle = len(groups) // 2
    return (*_failing(model, graph, example, groups[:middle]), *_failing(model, graph, example, groups[middle:]))


def _one_of_many(
    model: nn.Module, graph: ChannelGraph, example: Tensor, channels: Tensor | None = None, *, turns: int = 2
) -> bool:
    """`_survives`, and what it leaves is cleared away: exported programs refer to themselves, and would pile up."""
    try:
        return _survives(model, graph, example, channels, turns=turns)
    finally:
        clear_away(model)


def _survives(
    model: nn.Module, graph: ChannelGraph, example: Tensor, channels: Tensor | None = None, *, turns: int = 2
) -> bool:
    """Cut about half of the channels of each group, others in each block, and see whether that is what was planned.

    With `channels` all others are kept.
    """
    for turn in range(turns if graph.attention else 1):  # numbers of heads and streams may fit by chance
        selection = _half(graph, channels, turn)
        try:
            check_cut(slice_model(model, graph, selection).module, model, graph, selection, example)
        except CutMismatch:
            return False
    return True


def _half(graph: ChannelGraph, channels: Tensor | None, turn: int) -> ChannelSelection:
    """About half of the channels of each group, of some draws the one that cuts most cells; others in each turn.

    Blocks that stay equal may fill up again what was drawn, and what is kept whole by chance is not tried out.
    """
    generator, cells = torch.Generator().manual_seed(turn), cells_of(graph)
    shares = SHARES if graph.attention else (1 / 2,)
    free = graph.cuttable if channels is None else graph.cuttable & torch.isin(torch.arange(graph.width), channels)
    possible, best, most = sum(bool(free[cell].any()) for cell in cells), None, -1
    for _ in range(DRAWS):
        wanted = torch.zeros(graph.width, dtype=torch.bool)
        for cell in cells:  # by chance, a small one might lose nothing
            share = shares[(int(graph.group_of[cell[0]]) + turn) % len(shares)]
            wanted[cell[torch.randperm(len(cell), generator=generator)[: int(share * len(cell))]]] = True
        wanted = without_heads(graph, wanted)
        if channels is not None:
            wanted |= ~torch.isin(torch.arange(graph.width), channels)
        scores = torch.rand(graph.width, generator=generator, dtype=torch.float64)
        selection = select(graph, wanted, logits=range(len(graph.head)), scores=scores)
        cut = sum(selection.kept(cell) < len(cell) for cell in cells)
        if cut > most:
            best, most = selection, cut
        if cut >= possible:
            break
    assert best is not None
    return best

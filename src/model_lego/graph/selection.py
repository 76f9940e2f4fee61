"""ChannelSelection: which channels are kept, completed so that the network can really be cut that way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.errors import BadConfig, EmptySelection, UnknownClass
from model_lego.graph import labels as lab
from model_lego.graph.balancing import balance, keep_best, knots
from model_lego.graph.channels import ChannelGraph, Heads


@dataclass(frozen=True, slots=True, eq=False)
class ChannelSelection:
    """The channels to keep (one bool a channel of the graph) and the logits to keep, in the order wanted."""

    keep: Tensor
    logits: tuple[int, ...]

    def kept(self, channels: Tensor) -> int:
        """How many of these channels are kept."""
        return int(self.keep[channels].sum())


def select(
    graph: ChannelGraph,
    wanted: Tensor,
    *,
    logits: Sequence[int],
    scores: Tensor | None = None,
    multiple: int = 1,
) -> ChannelSelection:
    """Complete a wish to something that can be cut.

    `wanted` is one bool a channel. Frozen channels and at least one channel of each group and layer are kept, blocks
    that must stay equal are filled up, so are the heads of attention of which anything is kept, and the width of each
    group is rounded up to a `multiple`; what is added is what has the highest of `scores` (one number a channel).
    Raises UnknownClass, EmptySelection, BadConfig.
    """
    if multiple < 1:
        raise BadConfig(f"kept widths cannot be rounded to a multiple of {multiple}; give 1 or more")
    chosen = _checked_logits(graph, logits)
    if scores is None:
        scores = torch.zeros(graph.width, dtype=torch.float64)
    keep = (wanted & graph.cuttable) | graph.frozen
    keep[graph.head] = False
    keep[graph.head[list(chosen)]] = True
    tied = knots(graph)
    spread = list(_blocks_of_heads(graph))
    while True:
        before = int(keep.sum())
        _fill_attention(graph, spread, keep, scores, multiple)
        for knot in tied:
            balance(knot, keep, scores)
        for group in graph.groups:
            _fill_group(graph, group.channels, keep, scores, multiple)
        _fill_layers(graph, keep, scores)
        if int(keep.sum()) == before:
            return ChannelSelection(keep, chosen)


def keep_all(graph: ChannelGraph) -> ChannelSelection:
    """Keep every channel and every logit."""
    everything = torch.ones(graph.width, dtype=torch.bool)
    return ChannelSelection(everything, tuple(range(len(graph.head))))


def keeps_all(graph: ChannelGraph, selection: ChannelSelection) -> bool:
    """Whether a selection leaves nothing out but logits, so that a cut by it gives what its source gives."""
    return bool((selection.keep | graph.is_head).all())


def as_many(graph: ChannelGraph, kept: ChannelSelection, scores: Tensor, *, multiple: int = 1) -> ChannelSelection:
    """Keep the best channels of each group, as many as `kept` has; so in each block of channels that stay equal."""
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    for free in cells_of(graph):
        if bool(graph.is_attention_head[free].any()):
            continue  # those of which channels are kept
        order = torch.argsort(scores[free], descending=True, stable=True)
        wanted[free[order[: kept.kept(free)]]] = True
    return select(graph, wanted, logits=kept.logits, scores=scores, multiple=multiple)


def cells_of(graph: ChannelGraph) -> list[Tensor]:
    """The channels that may be cut, by cells: those of one share their group and all their blocks."""
    marks = [graph.group_of]
    rows = (heads.rows for heads in graph.attention)
    for blocks in (*(balanced.blocks for balanced in graph.balances), *rows):
        mark = torch.full((graph.width,), -1, dtype=torch.int64)
        for number, row in enumerate(blocks):
            mark[row] = number
        marks.append(mark)
    cells: Tensor = torch.unique(torch.stack(marks, 1), dim=0, return_inverse=True)[1]
    found = [((cells == cell) & graph.cuttable).nonzero().reshape(-1) for cell in range(int(cells.max()) + 1)]
    return [cell for cell in found if len(cell)]


def without_heads(graph: ChannelGraph, wanted: Tensor) -> Tensor:
    """A wish without all channels of those heads of attention that it does not have."""
    gone = graph.is_attention_head & graph.cuttable & ~wanted
    return wanted & ~((graph.head_of >= 0) & gone[graph.head_of])


def _checked_logits(graph: ChannelGraph, logits: Sequence[int]) -> tuple[int, ...]:
    count = len(graph.head)
    if not logits:
        raise EmptySelection("no class was chosen; name at least one")
    for logit in logits:
        if not 0 <= logit < count:
            raise UnknownClass(f"class {logit} is not among the {count} classes of the network (0 to {count - 1})")
    if len(set(logits)) < len(logits):
        raise UnknownClass(f"a class is named twice in {list(logits)}")
    return tuple(logits)


def _fill_layers(graph: ChannelGraph, keep: Tensor, scores: Tensor) -> None:
    """Keep a channel of each layer, in place: some write a part of their group alone."""
    for layer in graph.layers:
        if not bool(keep[layer.outputs].any() | graph.is_head[layer.outputs].any()):
            keep_best(layer.outputs.unique(), 1, keep, scores)


def _blocks_of_heads(graph: ChannelGraph) -> Iterator[tuple[Tensor, Heads]]:
    """Blocks that keep as many channels as those of all heads of some attention together, and that attention."""
    for tied in graph.balances:
        sets = {*map(lab.set_of, tied.blocks)}
        for heads in graph.attention:
            if len(heads.heads.unique()) == len(heads.heads) and lab.set_of(heads.rows.reshape(-1)) in sets:
                yield tied.blocks, heads


def _spread_over_heads(heads: Heads, count: int, keep: Tensor, scores: Tensor) -> None:
    """Keep so many channels at least, in place, as many in each head: those that are kept, then the best of others."""
    kept = keep[heads.heads]
    number = max(int(kept.sum()), -(-count // heads.width))
    level = scores[heads.rows].sum(1)
    order = torch.argsort(torch.where(kept, torch.inf, level), descending=True, stable=True)
    for row in order[:number].tolist():
        keep[heads.heads[row]] = True
        keep_best(heads.rows[row], -(-count // number), keep, scores)


def _fill_attention(
    graph: ChannelGraph, spread: Sequence[tuple[Tensor, Heads]], keep: Tensor, scores: Tensor, multiple: int
) -> None:
    for heads in graph.attention:
        _fill_heads(heads, keep, scores, multiple)
    before = -1
    while before < int(keep.sum()):  # where heads go whole, others have to hold more channels than were counted
        before = int(keep.sum())
        for blocks, heads in spread:
            _spread_over_heads(heads, int(keep[blocks].sum(1).max()), keep, scores)


def _fill_heads(heads: Heads, keep: Tensor, scores: Tensor, multiple: int) -> None:
    """Keep heads whose channels are kept, and as many channels in each, in place; at least the best head."""
    counts = keep[heads.rows].sum(1)
    kept = (counts > 0) | keep[heads.heads]
    if not bool(kept.any()):
        kept[scores[heads.rows].sum(1).argmax()] = True
    keep[heads.heads[kept]] = True
    kept = keep[heads.heads]  # other rows of these heads too
    most = max(1, int(counts.max()))
    for row in heads.rows[kept]:
        keep_best(row, min(heads.width, -(-most // multiple) * multiple), keep, scores)


def _fill_group(graph: ChannelGraph, channels: Tensor, keep: Tensor, scores: Tensor, multiple: int) -> None:
    if bool(graph.is_head[channels].any()) or bool(graph.is_attention_head[channels].all()):
        return
    kept = int(keep[channels].sum())
    keep_best(channels, min(len(channels), max(1, -(-kept // multiple) * multiple)), keep, scores)

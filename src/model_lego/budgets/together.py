"""What channels are worth for what they cost, where some can only go together: those of heads of attention."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from model_lego.graph import ChannelGraph
from model_lego.graph.channels import Heads


class Together:
    """The channels of a graph that can only go together: a head, or one of each row that stays equal."""

    def __init__(self, graph: ChannelGraph) -> None:
        self.heads, self.inside = graph.is_attention_head, graph.head_of >= 0
        cuttable = (self.heads & graph.cuttable).nonzero().reshape(-1)
        self.members = [(graph.head_of == head).nonzero().reshape(-1) for head in cuttable]
        self.rows = [heads.rows for heads in _widest(graph.attention)]

    def worth(self, left: Tensor, scores: Tensor, cost: Tensor) -> Tensor:
        """Scores for a share of the cost, one number a channel; `left` are those that can still go.

        Channels of attention go as a head, or the worst of each row at once, whichever is worth less. Heads themselves
        go first: they are kept with what is in them.
        """
        worth = scores / cost.clamp(min=1e-30)
        worth[self.inside] = torch.inf
        for channels in self._bundles(left, scores):
            together = scores[channels].sum() / cost[channels].sum().clamp(min=1e-30)
            worth[channels] = worth[channels].clamp(max=float(together))
        worth[self.heads] = -torch.inf
        return worth

    def _bundles(self, left: Tensor, scores: Tensor) -> Iterator[Tensor]:
        yield from (found for members in self.members if len(found := members[left[members]]))
        for rows in self.rows:
            there = left[rows]
            counts = there.sum(1)
            full = (counts == counts.max()) & (counts > 0)
            worst = scores[rows].masked_fill(~there, torch.inf).argmin(1, keepdim=True)
            yield rows.gather(1, worst)[full].reshape(-1).unique()


def _widest(attention: Sequence[Heads]) -> Iterator[Heads]:
    """Of rows of attention those that are no part of others which stay equal."""
    sets = [frozenset(map(tuple, heads.rows.tolist())) for heads in attention]
    for place, heads in enumerate(attention):
        if not any(sets[place] < other for other in sets) and sets[place] not in sets[:place]:
            yield heads

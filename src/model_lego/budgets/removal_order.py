"""In which order channels go as a network gets smaller, and how far it has to shrink for a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_lego.budgets.budget import COUNTED, Budget, beyond
from model_lego.budgets.marginal_cost import PriceList, shares
from model_lego.graph import ChannelGraph, ChannelSelection, keep_all, select
from model_lego.graph.cost import planned_cost
from model_lego.graph.selection import as_many
from model_lego.parts.origin import Cost

#: Prices are read again after each such share of the channels.
PORTION = 1 / 400


@dataclass(frozen=True, slots=True, eq=False)
class Shrinking:
    """A network on its way from whole to smallest: `order` holds the channels that can go, the first to go first.

    Where a cut needs one more channel, the one that would have gone last is added, so that what a smaller network
    keeps, a larger one keeps, too. With `within`, scores, the numbers of channels in each group are taken from the
    order, but the channels are those with the highest of them.
    """

    model: nn.Module
    graph: ChannelGraph
    classes: tuple[int, ...]
    order: Tensor
    multiple: int = 1
    within: Tensor | None = None

    def after(self, gone: int) -> ChannelSelection:
        """What is kept after so many channels have gone."""
        wanted = torch.ones(self.graph.width, dtype=torch.bool)
        wanted[self.order[:gone]] = False
        last = torch.zeros(self.graph.width, dtype=torch.float64)
        last[self.order] = torch.arange(1, len(self.order) + 1, dtype=torch.float64)
        found = select(self.graph, wanted, logits=self.classes, scores=last, multiple=self.multiple)
        return found if self.within is None else as_many(self.graph, found, self.within, multiple=self.multiple)

    def cost(self, gone: int) -> Cost:
        """What it costs then."""
        return planned_cost(self.model, self.graph, self.after(gone))

    @property
    def whole(self) -> Cost:
        """What the source costs, all its classes included."""
        return planned_cost(self.model, self.graph, keep_all(self.graph))

    def within_budget(self, budget: Budget) -> int:
        """How many channels have to go until the size is within a budget; found by bisection.

        Raises BadConfig where even the smallest component is too large.
        """
        whole, low, high = self.whole, 0, len(self.order)
        if not budget.holds(self.cost(high), whole):
            raise beyond(budget, self.cost(high), whole)
        while low < high:
            middle = (low + high) // 2
            if budget.holds(self.cost(middle), whole):
                high = middle
            else:
                low = middle + 1
        return high


def removal_order(model: nn.Module, graph: ChannelGraph, scores: Tensor, counted: tuple[str, ...]) -> Tensor:
    """Channels that can be cut, the first to go first: always those that are worth least for what they cost now.

    `scores` have to be in one unit for the whole network. What a channel costs is its share of each cost in `counted`,
    added up, at the widths that are left: a layer gets cheaper as its neighbours get narrower. The order does not
    depend on how small the component is to be, so that what a smaller one keeps, a larger one keeps, too.
    """
    prices, whole = PriceList(model, graph), planned_cost(model, graph, keep_all(graph))
    keep = torch.ones(graph.width, dtype=torch.bool)
    left = graph.cuttable.clone()
    portion = max(1, int(PORTION * int(left.sum())))
    order = []
    while bool(left.any()):
        channels = left.nonzero().reshape(-1)
        worth = scores[channels] / shares(prices.of(keep), whole, counted)[channels].clamp(min=1e-30)
        going = channels[worth.argsort(stable=True)[:portion]]
        keep[going] = left[going] = False
        order.append(going)
    return torch.cat(order) if order else torch.empty(0, dtype=torch.int64)


def refuse_unreachable(
    model: nn.Module, graph: ChannelGraph, budget: Budget, *, classes: Sequence[int], multiple: int = 1
) -> None:
    """Refuse a budget that not even the smallest network of a graph is within; raises BadConfig."""
    whole, cost = planned_cost(model, graph, keep_all(graph)), smallest(model, graph, classes, multiple)
    if not budget.holds(cost, whole):
        raise beyond(budget, cost, whole)


def smallest(model: nn.Module, graph: ChannelGraph, classes: Sequence[int], multiple: int = 1) -> Cost:
    """The least that a network cut from this one costs: the cheapest channels, no more of a group than a cut needs."""
    nothing = torch.zeros(graph.width, dtype=torch.bool)
    prices, whole = PriceList(model, graph).of(nothing), planned_cost(model, graph, keep_all(graph))
    costs = []
    for counted in COUNTED.values():
        kept = select(graph, nothing, logits=classes, scores=-shares(prices, whole, (counted,)), multiple=multiple)
        costs.append(planned_cost(model, graph, kept))
    return Cost(**{counted: min(getattr(cost, counted) for cost in costs) for counted in COUNTED.values()})

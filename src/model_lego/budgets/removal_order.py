"""In which order channels go as a network gets smaller, and how far it has to shrink for a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_lego.budgets.budget import Budget, beyond
from model_lego.budgets.marginal_cost import COSTS, TIME, PriceList, shares
from model_lego.budgets.size import TimedCost, planned_size
from model_lego.budgets.together import Together
from model_lego.graph import ChannelGraph, ChannelSelection, keep_all, select
from model_lego.graph.selection import as_many
from model_lego.latency.network_times import NetworkTimes
from model_lego.parts.origin import Cost

#: Prices are read again after each such share of the channels.
PORTION = 1 / 400


@dataclass(frozen=True, slots=True, eq=False)
class Shrinking:
    """A network on its way from whole to smallest: `order` holds the channels that can go, the first to go first.

    Where a cut needs one more channel, the one that would have gone last is added, so that what a smaller network
    keeps, a larger one keeps, too. With `within`, scores, the numbers of channels in each group are taken from the
    order, but the channels are those with the highest of them. `times` tell what it takes on a device.
    """

    model: nn.Module
    graph: ChannelGraph
    classes: tuple[int, ...]
    order: Tensor
    multiple: int = 1
    within: Tensor | None = None
    times: NetworkTimes | None = None

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
        return planned_size(self.model, self.graph, self.after(gone), self.times)

    @property
    def whole(self) -> Cost:
        """What the source costs, all its classes included."""
        return planned_size(self.model, self.graph, keep_all(self.graph), self.times)

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


def removal_order(
    model: nn.Module,
    graph: ChannelGraph,
    scores: Tensor,
    counted: tuple[str, ...],
    times: NetworkTimes | None = None,
) -> Tensor:
    """Channels that can be cut, the first to go first: always those that are worth least for what they cost now.

    `scores` have to be in one unit for the whole network. What a channel costs is its share of each cost in `counted`,
    added up, at the widths that are left: a layer gets cheaper as its neighbours get narrower. The order does not
    depend on how small the component is to be, so that what a smaller one keeps, a larger one keeps, too.
    """
    prices, whole = PriceList(model, graph, times), planned_size(model, graph, keep_all(graph))
    keep, together = torch.ones(graph.width, dtype=torch.bool), Together(graph)
    left = graph.cuttable.clone()
    portion = max(1, int(PORTION * int(left.sum())))
    order = []
    while bool(left.any()):
        channels = left.nonzero().reshape(-1)
        share = shares(prices.of(keep), whole, counted)
        worth = together.worth(left, scores, share)[channels]
        going = channels[worth.argsort(stable=True)[:portion]]
        keep[going] = left[going] = False
        order.append(going)
    return torch.cat(order) if order else torch.empty(0, dtype=torch.int64)


def refuse_unreachable(
    model: nn.Module,
    graph: ChannelGraph,
    budget: Budget,
    *,
    classes: Sequence[int],
    multiple: int = 1,
    times: NetworkTimes | None = None,
) -> None:
    """Refuse a budget that not even the smallest network of a graph is within; raises BadConfig."""
    whole, cost = planned_size(model, graph, keep_all(graph), times), smallest(model, graph, classes, multiple, times)
    if not budget.holds(cost, whole):
        raise beyond(budget, cost, whole)


def smallest(
    model: nn.Module,
    graph: ChannelGraph,
    classes: Sequence[int],
    multiple: int = 1,
    times: NetworkTimes | None = None,
) -> Cost:
    """The least that a network cut from this one costs: the cheapest channels, no more of a group than a cut needs."""
    nothing = torch.zeros(graph.width, dtype=torch.bool)
    prices, whole = PriceList(model, graph, times).of(nothing), planned_size(model, graph, keep_all(graph))
    costs = []
    for counted in COSTS if times is None else (*COSTS, TIME):
        kept = select(graph, nothing, logits=classes, scores=-shares(prices, whole, (counted,)), multiple=multiple)
        costs.append(planned_size(model, graph, kept, times))
    least: dict[str, int] = {counted: min(getattr(cost, counted) for cost in costs) for counted in COSTS}
    if times is None:
        return Cost(**least)
    return TimedCost(**least, milliseconds=min(getattr(cost, TIME) for cost in costs))

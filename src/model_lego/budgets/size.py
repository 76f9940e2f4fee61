"""How large a network would be with some of its channels: its cost, and where a device is named its predicted time."""

from dataclasses import asdict, dataclass

from torch import nn

from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.cost import planned_cost
from model_lego.latency.network_times import NetworkTimes
from model_lego.parts.origin import Cost


@dataclass(frozen=True, slots=True)
class TimedCost(Cost):
    """A cost with what a batch takes, by prediction: milliseconds for each batch of a device."""

    milliseconds: tuple[float, ...] = ()


def planned_size(
    model: nn.Module, graph: ChannelGraph, selection: ChannelSelection, times: NetworkTimes | None = None
) -> Cost:
    """What a cut of a network would cost, a TimedCost where its `times` are known."""
    cost = planned_cost(model, graph, selection)
    return cost if times is None else TimedCost(**asdict(cost), milliseconds=tuple(times.of(selection.keep).tolist()))


def share(counted: str, cost: Cost, whole: Cost) -> float:
    """A cost in parts of the whole network's; of times of several batches the largest."""
    own, all_ = getattr(cost, counted), getattr(whole, counted)
    if isinstance(own, tuple):
        return max(float(mine / theirs) for mine, theirs in zip(own, all_, strict=True))
    return float(own / max(1, all_))

"""What a component takes on a device: predicted while it is planned, measured when it is made, and both recorded."""

import math
from dataclasses import replace
from typing import Any

from torch import nn

from model_lego.budgets.settings import CutSettings
from model_lego.exporting.layer_times import latency_table, timed_networks
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.latency.device import Device
from model_lego.latency.network_times import NetworkTimes, network_times
from model_lego.parts.component import Component
from model_lego.processes import Group, in_all, place_in
from model_lego.progress import Progress


def times_of(
    model: nn.Module, graph: ChannelGraph, settings: CutSettings, progress: Progress, group: Group
) -> NetworkTimes | None:
    """The times of a network on the device that the settings name, measured where they are not known; None without.

    One process of a group measures for all. Raises as `latency_table`, and BadConfig for a table of other layers.
    """
    if settings.latency_table is not None:
        return network_times(graph, settings.latency_table)
    device = settings.place
    if device is None:
        return None
    first = place_in(group)[0] == 0
    found = in_all(lambda: latency_table(model, graph, device, progress=progress) if first else None, group)[0]
    assert found is not None
    return network_times(graph, found)


def rounding(settings: CutSettings, times: NetworkTimes) -> CutSettings:
    """The same with widths rounded as the device takes them best."""
    return replace(settings, multiple=math.lcm(settings.multiple, times.table.multiple))


def predicted(times: NetworkTimes, selection: ChannelSelection) -> dict[str, Any]:
    """What a component will take, as a record: milliseconds of each batch, and parts of its source's time."""
    device, taken = times.device, times.of(selection.keep)
    return {
        "runtime": device.runtime,
        "version": times.table.version,
        "processor": times.table.processor,
        "threads": device.threads,
        "batches": list(device.batches),
        "multiple": times.table.multiple,
        "predicted": taken.tolist(),
        "predicted_share": (taken / times.whole).tolist(),
    }


def record_measured(
    component: Component, device: Device | None, model: nn.Module, graph: ChannelGraph, group: Group
) -> None:
    """Write into a component's record what it takes on a device of this machine, in turns with its source.

    Errors are those of the predicted share. Without a device nothing is written.
    """
    if device is None:
        return
    first = place_in(group)[0] == 0
    took = in_all(lambda: timed_networks([model, component.module], graph, device) if first else [], group)[0]
    sources, own = zip(*took, strict=True)
    shares = [mine / theirs for mine, theirs in zip(own, sources, strict=True)]
    settings = component.origin.settings
    told = settings["latency"]
    more = {
        "source": list(sources),
        "measured": list(own),
        "measured_share": shares,
        "error": [expected / found - 1 for expected, found in zip(told["predicted_share"], shares, strict=True)],
    }
    component.origin = replace(component.origin, settings={**settings, "latency": told | more})

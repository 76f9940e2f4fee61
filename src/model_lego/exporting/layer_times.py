"""The latency table of a network on a device of this machine: its layers timed by width, and the network once."""

import platform
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from model_lego.exporting.layer_bench import LayerBench
from model_lego.exporting.runtimes import Runtime, chosen
from model_lego.exporting.taken import EXAMPLE, Writable
from model_lego.exporting.turns import Timeable, undisturbed, written
from model_lego.graph.channels import ChannelGraph
from model_lego.graph.modules import first_parameter, hookless_copy
from model_lego.latency.chains import chains
from model_lego.latency.device import Device
from model_lego.latency.network_times import mark_of, needs
from model_lego.latency.table import LatencyTable, load_latency_table, save_latency_table
from model_lego.progress import Progress, quiet

#: Turns that a whole network has.
ROUNDS = 15


def latency_table(model: nn.Module, graph: ChannelGraph, device: Device, *, progress: Progress = quiet) -> LatencyTable:
    """Time the layers of a traced network on a device of this machine, at several widths each, and the network whole.

    What the table in the user's cache has already is not timed again. Raises BadConfig (a runtime that is unknown or
    not installed, a damaged table), ExportFailed, TraceFailed.
    """
    (runtime,) = chosen([device.runtime])
    place, found = cached(device, runtime), chains(graph)
    table = load_latency_table(place) if place.exists() else LatencyTable(device, runtime.version, processor())
    missing, mark = table.lacks(needs(found)), mark_of(found)
    if not missing and mark in table.networks:
        return table
    total = len(missing) + 2
    with tempfile.TemporaryDirectory() as folder:
        bench = LayerBench(graph, runtime, device, Path(folder))
        progress("timing layers", 0, total)
        if not table.overhead:
            table = replace(table, overhead=bench.overhead(found), multiple=bench.multiple(found))
        for number, kind in enumerate(missing, 1):
            progress("timing layers", number, total)
            same = [chain for chain in found if chain.kind == kind]
            table = table.also({kind: bench.layer(same, table.multiple)}, {})
            save_latency_table(table, place)  # where it is interrupted, the next one goes on here
    progress("timing layers", total - 1, total)
    ((*took,),) = zip(*timed_networks([model], graph, device), strict=True)
    table = table.also({}, {mark: tuple(took)})
    save_latency_table(table, place)
    progress("timing layers", total, total)
    return table


def timed_networks(models: list[nn.Module], graph: ChannelGraph, device: Device) -> list[list[float]]:
    """Milliseconds of networks that take the images of a graph, batches x networks; raises as `latency_table`."""
    (runtime,) = chosen([device.runtime])
    with tempfile.TemporaryDirectory() as folder:
        files = [_file(model, graph, runtime, Path(folder, f"{place}")) for place, model in enumerate(models)]
        return undisturbed(files, device, ROUNDS)


def _file(model: nn.Module, graph: ChannelGraph, runtime: Runtime, place: Path) -> Timeable:
    twin = hookless_copy(model).cpu().eval().requires_grad_(False)
    example = torch.zeros(EXAMPLE, *graph.program.image_shape, dtype=first_parameter(twin).dtype)
    return written(Writable(twin, example), runtime, place)


def cached(device: Device, runtime: Runtime) -> Path:
    """Where the table of a device of this machine is kept: by runtime, its version, processor, threads and batches."""
    from platformdirs import user_cache_path

    batches = "-".join(map(str, device.batches))
    name = f"{runtime.name} {runtime.version} {processor()} threads {device.threads} batch {batches}"
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-").lower()
    return user_cache_path("model-lego", appauthor=False) / "latency" / f"{slug}.json"


def processor() -> str:
    """What the processor of this machine is called."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()

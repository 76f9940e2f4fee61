"""model-lego latency-table: time the layers of a network on this machine, for budgets of time here and elsewhere."""

import torch

from model_lego.cli import options as o
from model_lego.cli.device import BatchSizes, RuntimeName, ThreadCount, numbers
from model_lego.cli.doctor import Everything, Side, network_and_shape
from model_lego.cli.render import Bar, say, show, show_json
from model_lego.errors import BadConfig
from model_lego.exporting.runtimes import chosen
from model_lego.latency.device import Device
from model_lego.store.outputs import check_file


def latency_table_command(
    *,
    model: Everything,
    opening: o.ModelOptions,
    out: o.OutFile,
    device: RuntimeName = "onnxruntime",
    batch: BatchSizes = "1",
    threads: ThreadCount = 1,
    size: Side = None,
    json: o.Json = False,
) -> None:
    """Time the layers of a network by width on this machine, and write the table to a file."""
    from model_lego import canonize, latency_table, save_latency_table, trace

    check_file(out)
    place = Device(device or "onnxruntime", tuple(numbers("--batch", batch)), threads)
    chosen([place.runtime])
    network, shape = network_and_shape(model, opening)
    if size is not None and size < 1:
        raise BadConfig(f"--size {size} is no side of an image; give at least 1")
    shape = shape if size is None else (shape[0], size, size)
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)).to(next(network.parameters()))
    network = canonize(network.eval(), images)
    table = latency_table(network, trace(network, images), place, progress=Bar())
    save_latency_table(table, out)
    if json:
        show_json({"file": out, "device": str(table.device), "processor": table.processor, "layers": len(table.layers)})
        return
    show(f"{len(table.layers)} kinds of layers in {table.device} on {table.processor}")
    show(f"widths are best multiples of {table.multiple}")
    say(f"written to {out}")

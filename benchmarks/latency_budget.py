"""Budgets of time: predicted against measured time at random widths, and what components within a budget reach.

`python -m benchmarks.latency_budget` goes on where it was stopped; `--count 2 --side 64` tries it small. Ratios are of
one run each. Predictions are for widths that the runtime takes best, as budgets choose them.
"""

import argparse
import json
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch import nn

import model_lego as ml
from benchmarks.common import RESULTS, record
from benchmarks.trained import ABSENT, BATCH, FIRST, SECOND, opened
from model_lego.cutting.slicing import slice_model
from model_lego.data import batches
from model_lego.exporting.latency import latency
from model_lego.exporting.layer_times import timed_networks
from model_lego.exporting.runtimes import chosen
from model_lego.graph import ChannelGraph, select
from model_lego.latency.network_times import NetworkTimes, network_times
from model_lego.models import build

NETWORKS = ("torchvision:vgg16", "torchvision:resnet50", "torchvision:mobilenet_v2")
TASK = (FIRST, ("bird", "cat", "deer"))
#: 0.23 came last, when the test accuracies of the others had been seen.
LAST = 0.23
SHARES = (0.4, LAST, 0.2)
#: Classes that no share was chosen by, of both networks: within the last share.
UNSEEN = (
    (FIRST, ("airplane", "automobile", "bird")),
    (SECOND, ("dog", "frog", "horse")),
    (SECOND, ("horse", "ship", "truck")),
)
NAME = "latency_budget"
#: Cuts that are exported and timed together.
TOGETHER = 4


def main() -> None:
    """Run what is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="random widths of each network")
    parser.add_argument("--side", type=int, default=224, help="pixels of their images")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--only", choices=("widths", "budgets"))
    given = parser.parse_args()
    if given.only != "budgets":
        for name in given.network or NETWORKS:
            _widths(name, ml.Device(given.runtime, (given.batch,), given.threads), given.side, given.count)
    if given.only != "widths":
        for threads in (1, 2):
            for share in SHARES:
                _budget(share, ml.Device(given.runtime, (1, 32), threads), *TASK)
        for task in UNSEEN:
            _budget(LAST, ml.Device(given.runtime, (1, 32)), *task)


def _known() -> dict[str, Any]:
    file = RESULTS / f"{NAME}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return {"widths": {}, "budgets": {}} | {key: value for key, value in found.items() if key in ("widths", "budgets")}


def _widths(name: str, device: ml.Device, side: int, count: int) -> None:
    """The errors of the predicted times of a network at random widths."""
    key = f"{name}, {side} pixels, {device}"
    pairs: list[list[float]] = _known()["widths"].get(key, {}).get("predicted, measured", [])
    if len(pairs) >= count:
        return
    torch.manual_seed(0)
    model = build(name).eval()
    graph = ml.trace(model, torch.rand(2, 3, side, side))
    times = network_times(graph, ml.latency_table(model, graph, device))
    cuts = _cuts(model, graph, times, count)
    for _ in pairs:
        next(cuts)
    while len(pairs) < count:
        some = [next(cuts) for _ in range(min(TOGETHER, count - len(pairs)))]
        (took,) = timed_networks([cut for cut, _ in some], graph, device)
        pairs += [[expected, found] for (_, expected), found in zip(some, took, strict=True)]
        errors = [abs(expected / found - 1) for expected, found in pairs]
        known = _known()
        known["widths"][key] = {"predicted, measured": pairs, "median_error": median(errors), "largest": max(errors)}
        record(NAME, known, show=False)
    print(f"{key}: {len(pairs)} widths, median error {100 * median(errors):.1f} %, largest {100 * max(errors):.1f} %")


def _cuts(model: nn.Module, graph: ChannelGraph, times: NetworkTimes, count: int) -> Iterator[tuple[nn.Module, float]]:
    """A network at random widths, seeded, with the time that is predicted."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        wanted = torch.zeros(graph.width, dtype=torch.bool)
        for group in graph.groups:
            share = 0.1 + 0.9 * torch.rand(1, generator=generator)
            wanted[group.channels] = torch.rand(len(group.channels), generator=generator) < share
        kept = select(graph, wanted, logits=range(len(graph.head)), multiple=times.table.multiple)
        yield slice_model(model, graph, kept).module.eval(), float(times.of(kept.keep)[0])


def _budget(share: float, device: ml.Device, network: str, classes: tuple[str, ...]) -> None:
    """A component of a VGG of the zoo within a share of its time: its time, its accuracy, how many times as fast."""
    key = f"latency={share:g}, {device}, {network}: {', '.join(classes)}"
    if key in _known()["budgets"]:
        return
    source = opened(network)
    if source is None:
        print(f"{key}: skipped, {ABSENT}")
        return
    part = ml.disassemble(
        source.model,
        source.train,
        classes=classes,
        class_names=source.names,
        preprocessing=source.preprocessing,
        builder=source.builder,
        budget=ml.Budget(latency=share),
        device=device,
    )
    test, names = batches(source.split.test, batch_size=BATCH), source.names
    beside = ml.baselines(part, source.model, kinds=("restricted",))
    report = ml.evaluate(part, test, class_names=names, baselines=beside)
    rows = latency({"part": part}, chosen([device.runtime]), batches=(1, 32))
    known = _known()
    known["budgets"][key] = {
        "time": part.origin.settings["latency"],
        "accuracy": report.accuracy,
        "restricted": next(row.accuracy for row in report.rows if row.name == "restricted"),
        "macs": part.origin.cost_after.macs / part.origin.cost_before.macs,
        "times_as_fast": {f"batch {row.batch}, {row.threads} threads": row.faster for row in rows if row.faster},
    }
    record(NAME, known, show=False)
    print(key, json.dumps(known["budgets"][key]))


if __name__ == "__main__":
    main()

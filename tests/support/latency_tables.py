"""Latency tables that nobody measured: what layers take is a formula."""

from math import prod

import torch

from model_lego.graph.cost import layer_macs
from model_lego.latency.chains import chains
from model_lego.latency.device import Device
from model_lego.latency.network_times import mark_of, needs
from model_lego.latency.table import LatencyTable, LayerTimes

DEVICE = Device("onnxruntime", (1, 4))


def by_formula(graph, formula, *, device=DEVICE, whole=None, **more):
    """Times of a network's layers by a formula of chain, inputs and outputs, in milliseconds of one image."""
    found, layers = chains(graph), {}
    for kind in dict.fromkeys(chain.kind for chain in found):
        same = [chain for chain in found if chain.kind == kind]
        widest = [max(widths) for widths in zip(*(each[1:] for each in needs(same)), strict=True)]
        inputs = (0,) if same[0].layer.depthwise else tuple(sorted({0, widest[0] // 2, widest[0]}))
        outputs = tuple(sorted({0, widest[1] // 2, widest[1]}))
        rows = [[formula(same[0], own, outs) for outs in outputs] for own in inputs]
        times = tuple(tuple(tuple(batch * time for time in row) for row in rows) for batch in device.batches)
        layers[kind] = LayerTimes(inputs, outputs, times)
    networks = {} if whole is None else {mark_of(found): tuple(batch * whole for batch in device.batches)}
    return LatencyTable(device, "1.0", "a processor", layers=layers, networks=networks, **more)


def macs_of(graph):
    """What a chain's multiply-adds are by inputs and outputs."""
    uncut = {layer.node: (layer, macs) for layer, macs in layer_macs(graph)}

    def formula(chain, inputs, outputs):
        layer, macs = uncut[chain.layer.node]
        if layer.depthwise:
            return 1e-3 * macs * outputs / len(layer.outputs)
        return 1e-3 * macs * inputs * outputs / prod((len(layer.inputs), len(layer.outputs)))

    return formula


def some_of(graph, share, seed=0):
    """One bool a channel of a graph."""
    return torch.rand(graph.width, generator=torch.Generator().manual_seed(seed)) < share

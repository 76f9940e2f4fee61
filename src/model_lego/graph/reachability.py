"""Which channels reach some logits at all, through weights that are not zero."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model_lego.graph.channels import ChannelGraph
from model_lego.graph.rule import Window


@torch.no_grad()
def reaching(model: nn.Module, graph: ChannelGraph, logits: Sequence[int]) -> Tensor:
    """The channels on which some logits (label numbers) depend, one bool a channel; all others can go without a trace.

    Frozen channels stay, so what they are made of counts as well.
    """
    reached = graph.frozen.clone()
    reached[graph.head[list(logits)]] = True
    wires = [_wires(graph.program.tensor(model, layer.weight), layer.window) for layer in graph.layers]
    count = -1
    while count != int(reached.sum()):  # one walk is enough, unless a channel is read before it is written
        count = int(reached.sum())
        for layer, wired in zip(reversed(graph.layers), reversed(wires), strict=True):
            inputs, outputs = layer.inputs.chunk(layer.groups), layer.outputs.chunk(layer.groups)
            for ins, outs, reads in zip(inputs, outputs, wired, strict=True):
                reached[ins[reads[reached[outs]].any(0)]] = True
    return reached


def _wires(weight: Tensor, window: Window) -> Tensor:
    """Which of its inputs each output of a layer reads, groups x outputs/groups x inputs/groups."""
    return (window.by_output(weight) != 0).any(-1).cpu()

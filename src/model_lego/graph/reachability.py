"""Which channels reach some logits at all, through weights that are not zero."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model_lego.graph.channels import ChannelGraph, Layer


@torch.no_grad()
def reaching(model: nn.Module, graph: ChannelGraph, logits: Sequence[int]) -> Tensor:
    """The channels on which some logits (label numbers) depend, one bool a channel; all others can go without a trace.

    Frozen channels stay, so what they are made of counts as well.
    """
    found = graph.frozen.clone()
    found[graph.head[list(logits)]] = True
    weights = [(layer, _wires(layer, graph.program.tensor(model, layer.weight))) for layer in graph.layers]
    count = -1
    while count != int(found.sum()):  # one walk is enough, unless a channel is read before it is written
        count = int(found.sum())
        for layer, wires in reversed(weights):
            inputs, outputs = layer.inputs.chunk(layer.groups), layer.outputs.chunk(layer.groups)
            for ins, outs, wired in zip(inputs, outputs, wires, strict=True):
                found[ins[wired[found[outs]].any(0)]] = True
    return found


def _wires(layer: Layer, weight: Tensor) -> list[Tensor]:
    """For each group of a layer: which of its inputs each of its outputs reads, outputs x inputs."""
    blocks = [(block != 0).flatten(2).any(2) if block.dim() > 2 else block != 0 for block in weight.chunk(layer.groups)]
    return [(block.T if "transpose" in layer.op else block).cpu() for block in blocks]

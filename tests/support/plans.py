"""What the laws share: plans that cut about half, and what they keep as the oracles want it."""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.cutting.tracing import trace
from model_lego.graph import ChannelGraph, ChannelSelection, select
from model_lego.graph.nodes import module_path
from model_lego.graph.selection import without_heads
from tests.support.masked_norms import Place
from tests.support.masked_products import Operand
from tests.support.oracles import Rows
from tests.support.tiny_models import build, inputs

aten = torch.ops.aten

#: Operators that multiply two values, as the exported graph has them.
PRODUCTS = (aten.matmul.default, aten.bmm.default, aten.scaled_dot_product_attention.default)
#: Channels that an operator or a number in the forward ties down: network -> (layer, part of the reason).
FREEZING = {
    "view_constant": [("", "written into")],
    "residual_pad": [("2", "padded channels")],
    "slice_constant": [("", "sliced at channel numbers")],
    "spatial_attention": [("1", "reduced over channels"), ("1", "broadcast over other channels")],
    "softmax_over_channels_inside": [("1", "softmax reads across channels")],
    "shuffles_bound": [("0.0", "blocks that must stay equal")],
    "conditional": [("2", "a product of two values"), ("2", "weight is computed"), ("4.0", "kept whole")],
    "standardised": [("2", "weight is computed"), ("4", "weight is computed")],
    "weight_norm": [("1", "weight is computed")],
    "attention_fixed": [("attention", "written into")],
}


@functools.cache
def traced(name: str) -> tuple[nn.Module, ChannelGraph]:
    """A tiny network in float64 and its graph, made once for all laws: nobody may change them (law 8)."""
    model = build(name)
    return model, trace(model, inputs(name, batch=2))


def half_plan(graph: ChannelGraph, *, seed: int, logits: Sequence[int]) -> ChannelSelection:
    """Keep a random half of the cuttable channels of each group, and what has to stay for them to be cut that way.

    Half of each block where blocks must stay equal: else the fullest block decides how little the others can lose.
    """
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    for part in parts(graph):
        free = part[graph.cuttable[part]]
        wanted[free[torch.randperm(len(free), generator=generator)[: len(free) // 2]]] = True
    wanted = without_heads(graph, wanted)
    scores = torch.rand(graph.width, generator=generator, dtype=torch.float64)
    return select(graph, wanted, logits=logits, scores=scores)


def parts(graph: ChannelGraph) -> list[Tensor]:
    """The channels of each group, taken apart by the balanced blocks in which they lie."""
    blocks: list[list[int]] = [[number] for number in graph.group_of.tolist()]
    for rows in (*(balance.blocks for balance in graph.balances), *(heads.rows for heads in graph.attention)):
        for number, row in enumerate(rows.tolist()):
            for channel in row:
                blocks[channel].append(number)
    found: dict[tuple[int, ...], list[int]] = {}
    for channel, key in enumerate(blocks):
        found.setdefault((key[0], *key[1:]), []).append(channel)
    return [torch.tensor(channels) for key, channels in found.items() if key[0] >= 0]


def some_logits(graph: ChannelGraph, *, seed: int) -> list[int]:
    """About half of the classes, in an order that is not theirs."""
    count = len(graph.head)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: count // 2 + 1].tolist()
    return order[::-1] if order == sorted(order) else order


def kept_inputs(graph: ChannelGraph, selection: ChannelSelection) -> dict[str | Place | Operand | Rows, Any]:
    """Module -> its kept input channels, as the oracle `masked_forward` takes them; all owners of a tied weight.

    Where a module normalises over channels, it and their number -> the kept ones; of what products sum over channels,
    what is kept.

    Modules that keep all of their inputs are left out: what they take need not be the input of their weight.
    """
    kept: dict[str | Place | Operand | Rows, Any] = {**_multiplied(graph, selection)}
    for statistic in graph.statistics:
        positions = selection.keep[statistic.channels].nonzero().flatten().tolist()
        place = (statistic.why.where, len(statistic.channels))
        assert kept.setdefault(place, positions) == positions  # other channels of that number there are no test's
    for layer in graph.layers:
        positions = selection.keep[layer.inputs].nonzero().flatten().tolist()
        if len(positions) == len(layer.inputs):
            continue
        if layer.groups > 1 and layer.groups == len(layer.inputs):
            assert positions  # a depthwise layer keeps some maps
        if layer.op.startswith("model_lego.times"):  # of a module that takes something else
            kept[Rows(layer.weight)] = positions
            continue
        for tensor in graph.program.aliases.get(layer.weight, (layer.weight,)):
            module = tensor.rpartition(".")[0]
            assert kept.setdefault(module, positions) == positions  # a module that is called twice is cut once
    return kept


def _multiplied(graph: ChannelGraph, selection: ChannelSelection) -> dict[Operand, Tensor]:
    """What is kept of the operands of products, where not all is."""
    made, numbers = Counter[str](), {}
    for node in graph.program.nodes:
        operands = [arg.meta["val"] for arg in node.args[:2] if isinstance(arg, torch.fx.Node)]
        if node.target in PRODUCTS and all(value.dim() > 2 for value in operands):
            numbers[node.name] = made[module_path(node)]
            made[module_path(node)] += 1
    kept = {
        Operand(product.where, numbers[product.node], place): selection.keep[labels] | (labels < 0)
        for product in graph.products
        for place, labels in product.operands.items()
    }
    return {at: one for at, one in kept.items() if not bool(one.all())}


def lost(graph: ChannelGraph, selection: ChannelSelection) -> dict[str, tuple[int, int]]:
    """For each group in which there is something to cut: how many channels it lost, and how many could be cut."""
    counts = {}
    for number, group in enumerate(graph.groups):
        cuttable = int(graph.cuttable[group.channels].sum())
        if cuttable >= 2:
            counts[f"{number} {group.name}"] = (len(group.channels) - selection.kept(group.channels), cuttable)
    return counts

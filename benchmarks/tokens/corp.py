"""CORP (2026): hidden channels of MLPs, and channels of queries and keys, written from its abstract, not from its code.

What goes is predicted from what stays, by affine ridge on what the uncut network has: hidden values for the layer that
reads them, and products of queries and keys for the scores. Both predictions are written into the weights that stay.
The abstract does not say how channels are ranked; here it is by energy: hidden ones by mean square times the squared
norm of the weights that read them, those of queries and keys by the product of their mean squares. The same share of
each layer goes.

Hidden channels are cut for real. Those of queries and keys become zero and are counted as gone: modules that view
queries, keys and values side by side want equal numbers of them, and CORP cuts no values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.budgets.size import planned_size
from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions
from model_lego.graph import ChannelGraph, ChannelSelection, Layer, select
from model_lego.graph.modules import find_tensor

#: Ridge in parts of the mean diagonal.
STRENGTH = 1e-3
#: How the layers of an MLP of timm end, and images that run at once.
WRITES, READS, PORTION = "mlp.fc1", "mlp.fc2", 50


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """Queries and keys of one layer over `positions`: the channels of each head, and Gram matrices of each image."""

    layer: str  # that writes them
    positions: int
    channels: Tensor  # heads x channels
    queries: Tensor  # images x heads x (1 + channels) x (1 + channels), a one before the channels
    keys: Tensor  # images x heads x channels x channels


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What an uncut network has over some images: X'X of hidden values, a one before them, and its attention."""

    hidden: Mapping[str, Tensor]
    attention: tuple[Attention, ...]


@torch.no_grad()
def heard(model: nn.Module, graph: ChannelGraph, images: Tensor) -> Heard:
    """Listen to the hidden values of MLPs, and to queries and keys."""
    readers = {layer.node: layer for layer in graph.layers if layer.name.endswith(READS)}
    products = {product.node: product for product in graph.products if len(product.operands) == 2}
    hidden: dict[str, Tensor] = {}
    grams: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in products}
    positions: dict[str, int] = {}

    def listen(node: fx.Node, given: tuple[Any, ...]) -> tuple[Any, ...]:
        if node.name in readers:
            layer = readers[node.name]
            rows = _with_one(given[0].movedim(layer.window.channel_dim, -1).flatten(0, -2).double())
            gram = rows.T @ rows
            hidden[layer.name] = hidden[layer.name] + gram if layer.name in hidden else gram
        if node.name in products:
            queries, keys = _with_one(given[0].double()), given[1].double()
            grams[node.name].append((queries.mT @ queries, keys.mT @ keys))
            positions[node.name] = queries.shape[-2]
        return given

    for some in images.split(PORTION):
        graph.program.run(model, some, listen)
    attention = []
    for name, product in products.items():
        channels = product.operands[0][0, :, 0]
        writer = next(layer for layer in graph.layers if bool(torch.isin(channels, layer.outputs).all()))
        queries, keys = zip(*grams[name], strict=True)
        attention.append(Attention(writer.name, positions[name], channels, torch.cat(queries), torch.cat(keys)))
    return Heard(hidden, tuple(attention))


def hidden_channels(graph: ChannelGraph) -> Tensor:
    """Whether a channel is a hidden one of an MLP, one bool a channel."""
    found = torch.zeros(graph.width, dtype=torch.bool)
    for layer in graph.layers:
        if layer.name.endswith(WRITES):
            found[layer.outputs] = True
    return found & graph.cuttable


def without(
    model: nn.Module, graph: ChannelGraph, found: Heard, share: float, logits: Sequence[int]
) -> tuple[ChannelSelection, Tensor]:
    """What stays where this share of each layer goes: channels that are cut for real, and all that stay, as bools."""
    stays = torch.ones(graph.width, dtype=torch.bool)
    for name, gram in found.hidden.items():
        layer = graph.layer(name)
        weight = graph.program.tensor(model, layer.weight).detach().double()
        energy = gram.diagonal()[1:] * weight.square().movedim(1, 0).flatten(1).sum(1)
        stays[layer.inputs[energy.argsort()[: round(share * len(energy))]]] = False
    hidden = stays.clone()
    for each in found.attention:
        squares = each.queries.diagonal(dim1=-2, dim2=-1)[..., 1:].mean(0), each.keys.diagonal(dim1=-2, dim2=-1).mean(0)
        going = (squares[0] * squares[1]).argsort(1)[:, : round(share * each.channels.shape[1])]
        stays[each.channels.gather(1, going)] = False
    return select(graph, hidden, logits=logits), stays


def cost(model: nn.Module, graph: ChannelGraph, found: Heard, kept: tuple[ChannelSelection, Tensor]) -> int:
    """Multiply-adds, queries and keys that became zero not counted."""
    selection, stays = kept
    gone = sum(
        2 * each.positions * len(graph.layer(each.layer).inputs) * int((~stays[each.channels]).sum())
        for each in found.attention
    )
    return planned_size(model, graph, selection).macs - gone


@torch.no_grad()
def mend(cut: Cut, found: Heard, stays: Tensor) -> None:
    """Write what predicts the removed values and products into the weights that stay, in place."""
    for name, gram in found.hidden.items():
        _mend_reader(cut, cut.graph.layer(name), gram)
    for each in found.attention:
        _mend_queries(cut, each, stays)


def _mend_reader(cut: Cut, layer: Layer, gram: Tensor) -> None:
    kept = kept_positions(layer.inputs, cut.selection)
    gone = torch.ones(len(layer.inputs), dtype=torch.bool)
    gone[kept] = False
    predicted = torch.linalg.solve(_ridged(gram, kept), gram[_known(kept)][:, 1:][:, gone])  # (1 + kept) x gone
    source = cut.graph.program.tensor(cut.source, layer.weight)[kept_positions(layer.outputs, cut.selection)]
    added = torch.einsum("ol...,kl->ok...", source[:, gone].double(), predicted)
    weight, bias = _tensor(cut.module, layer.weight), _tensor(cut.module, layer.bias)
    weight += added[:, 1:].to(weight)
    bias += added[:, 0].reshape(bias.shape).to(bias)


def _mend_queries(cut: Cut, each: Attention, stays: Tensor) -> None:
    """Queries Q become Q (I + M) + m, with the M and m that predict the lost products best; the others become zero."""
    layer = cut.graph.layer(each.layer)
    outputs = layer.outputs.tolist()
    weight, bias = _tensor(cut.module, layer.weight), _tensor(cut.module, layer.bias)
    for head, channels in enumerate(each.channels):
        kept, gone = stays[channels].nonzero().reshape(-1), (~stays[channels]).nonzero().reshape(-1)
        queries, keys = each.queries[:, head], each.keys[:, head]
        known = _known(kept)
        lost = (queries[:, known][:, :, gone + 1] @ keys[:, gone][:, :, kept]).sum(0)  # (1 + kept) x kept
        left = torch.einsum("nab,ncd->acbd", queries[:, known][:, :, known], keys[:, kept][:, :, kept])
        square = left.reshape(lost.numel(), lost.numel())
        square.diagonal().add_(STRENGTH * square.diagonal().mean())
        predicting = torch.linalg.solve(square, lost.reshape(-1)).reshape(lost.shape)
        rows = torch.tensor([outputs.index(channel) for channel in channels[kept].tolist()])  # queries are before keys
        mixing = torch.eye(len(kept), dtype=torch.float64) + predicting[1:]
        weight[rows] = (mixing.T @ weight[rows].double()).to(weight)
        bias[rows] = (mixing.T @ bias[rows].double() + predicting[0]).to(bias)
        zero = torch.isin(layer.outputs, channels[gone])
        weight[zero], bias[zero] = 0, 0


def _with_one(rows: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(rows[..., :1]), rows], -1)


def _known(kept: Tensor) -> Tensor:
    """Places of the one and of the kept channels behind it."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), kept + 1])


def _ridged(gram: Tensor, kept: Tensor) -> Tensor:
    inner = gram[_known(kept)][:, _known(kept)].clone()
    inner.diagonal()[1:] += STRENGTH * gram.diagonal()[1:].mean()
    return inner


def _tensor(module: nn.Module, name: str | None) -> Tensor:
    found = None if name is None else find_tensor(module, name)
    assert found is not None
    return found.data

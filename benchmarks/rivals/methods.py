"""Rivals: how each chooses channels, and how each mends the cut network. Written from the papers, not from their code.

- GRAIL (CPAL 2026): the layer that reads removed channels gets its weights times the map that rebuilds all channels
  from the kept ones by ridge on the Gram matrix of the uncut network; one map for all taps, no intercept.
- Model folding (ICLR 2025): similar filters are merged into their mean, and what reads them is summed up; then the
  statistics of BatchNorm are estimated again. Clusters by Ward's linkage, which lowers the aim of k-means greedily and
  needs no seed.
- ThiNet (ICCV 2017): of each layer's inputs those go, one after the other, whose parts in sampled outputs of the next
  layer cancel best; the parts that stay are scaled by least squares.
- DepGraph (CVPR 2023): the norm of all weights that go with a channel, over the layers that are coupled.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions
from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.modules import find_tensor
from model_lego.graph.selection import cells_of, select

#: Ridge in parts of the mean diagonal of the Gram matrix.
GRAIL_STRENGTH = 1e-3
#: The same for scales of channels, only against singular systems.
THINET_STRENGTH = 1e-6


def group_norms(model: nn.Module, graph: ChannelGraph) -> Tensor:
    """DepGraph: the norm of all weights of a channel, in parts of the mean over its group."""
    squares, readers = torch.zeros(graph.width, dtype=torch.float64), torch.zeros(graph.width, dtype=torch.float64)
    for name, axes in graph.axes.items():
        tensor = graph.program.tensor(model, name).detach().double()
        if not tensor.is_floating_point() or name.rpartition(".")[2] in ("running_mean", "running_var"):
            continue
        for dim, axis in axes.items():
            if axis.groups == 1:
                squares.index_add_(
                    0, axis.channels, tensor.movedim(dim, 0).reshape(tensor.shape[dim], -1).square().sum(1)
                )
                readers.index_add_(0, axis.channels, torch.ones(len(axis.channels), dtype=torch.float64))
    norms = (squares / readers.clamp(min=1)).sqrt()
    for group in graph.groups:
        norms[group.channels] /= norms[group.channels].mean().clamp(min=1e-30)
    return norms


def thinet_scores(graph: ChannelGraph, contributions: Mapping[str, Tensor]) -> Tensor:
    """ThiNet: in which order channels of a group stay; the first to go has the lowest score."""
    together = torch.zeros(graph.width, graph.width, dtype=torch.float64)
    for layer in graph.layers:
        if layer.name in contributions:
            gram = contributions[layer.name] / contributions[layer.name].sum().abs().clamp(min=1e-30)
            columns = torch.zeros(len(layer.inputs), graph.width, dtype=torch.float64)
            known = layer.inputs >= 0
            columns[known.nonzero().reshape(-1), layer.inputs[known]] = 1
            together += columns.T @ gram @ columns
    scores = torch.zeros(graph.width, dtype=torch.float64)
    for cell in cells_of(graph):
        gram, gone = together[cell][:, cell], torch.zeros(len(cell), dtype=torch.float64)
        for place in range(len(cell)):
            error = 2 * gram @ gone + gram.diagonal()  # what the square of the lost sum grows by
            going = int(error.masked_fill(gone > 0, torch.inf).argmin())
            gone[going] = 1
            scores[cell[going]] = place + 1
    return scores


@torch.no_grad()
def grail(cut: Cut, grams: Mapping[str, Tensor]) -> None:
    """Give the readers of removed channels GRAIL's weights, in place."""
    for layer in cut.graph.layers:
        if layer.name not in grams:
            continue
        kept = kept_positions(layer.inputs, cut.selection)
        if len(kept) == len(layer.inputs):
            continue
        gram = grams[layer.name]
        inner = gram[kept][:, kept]
        inner.diagonal().add_(GRAIL_STRENGTH * gram.diagonal().mean())
        rebuilt = torch.linalg.solve(inner, gram[kept])  # kept x all
        source = cut.graph.program.tensor(cut.source, layer.weight)[kept_positions(layer.outputs, cut.selection)]
        _tensor(cut.module, layer.weight).copy_(torch.einsum("oi...,ki->ok...", source.double(), rebuilt))


@torch.no_grad()
def rescaled(cut: Cut, contributions: Mapping[str, Tensor]) -> None:
    """Scale the kept inputs of each layer as ThiNet does, in place."""
    for layer in cut.graph.layers:
        if layer.name not in contributions:
            continue
        kept, gram = kept_positions(layer.inputs, cut.selection), contributions[layer.name]
        if len(kept) == len(layer.inputs):
            continue
        inner = gram[kept][:, kept]
        inner.diagonal().add_(THINET_STRENGTH * gram.diagonal().mean())
        scale = torch.linalg.solve(inner, gram[kept].sum(1))
        weight = _tensor(cut.module, layer.weight)
        weight.mul_(scale.to(weight).reshape(1, -1, *[1] * (weight.dim() - 2)))


def folded(model: nn.Module, graph: ChannelGraph, like: ChannelSelection) -> tuple[ChannelSelection, Tensor]:
    """As many channels as `like` keeps of each group, one for each cluster; and for each channel the one it joins."""
    from scipy.cluster.hierarchy import cut_tree, linkage

    wanted, onto = torch.zeros(graph.width, dtype=torch.bool), torch.arange(graph.width)
    features = _Filters(model, graph)
    for cell in cells_of(graph):
        count = like.kept(cell)
        if count == len(cell):
            wanted[cell] = True
            continue
        tree = linkage(features(cell).numpy(), method="ward")
        clusters = torch.from_numpy(cut_tree(tree, n_clusters=count)[:, 0].copy())
        for cluster in clusters.unique():
            members = cell[clusters == cluster]
            wanted[members[0]], onto[members] = True, members[0]
    selection = select(graph, wanted, logits=like.logits)
    onto[selection.keep] = torch.arange(graph.width)[selection.keep]
    return selection, onto


@torch.no_grad()
def fold(cut: Cut, onto: Tensor) -> None:
    """Merge the channels that are cut into those that they join, in place: means where written, sums where read."""
    readers = {layer.weight: layer.window.input_axis for layer in cut.graph.layers}
    for name, axes in cut.graph.axes.items():
        tensor = cut.graph.program.tensor(cut.source, name)
        if not tensor.is_floating_point():
            continue
        merged = tensor.double()
        for dim, axis in axes.items():
            if axis.groups > 1:
                merged = merged.index_select(dim, kept_positions(axis.channels[: merged.shape[dim]], cut.selection))
                continue
            joined = _joining(axis.channels, cut.selection, onto)
            share = joined if readers.get(name) == dim else joined / joined.sum(1, keepdim=True)
            merged = torch.tensordot(merged, share, ([dim], [1])).movedim(-1, dim)
        _tensor(cut.module, name).copy_(merged)


def _joining(channels: Tensor, selection: ChannelSelection, onto: Tensor) -> Tensor:
    """Kept positions x all positions: 1 where a position joins a kept one, which is as far within its channel."""
    kept = kept_positions(channels, selection)
    within = torch.zeros_like(channels)
    seen: dict[int, int] = {}
    for place, channel in enumerate(channels.tolist()):
        within[place] = seen.get(channel, 0)
        seen[channel] = seen.get(channel, 0) + 1
    goal = torch.where(channels >= 0, onto[channels.clamp(min=0)], channels)
    same_channel = channels[kept][:, None] == goal[None]
    return (same_channel & (within[kept][:, None] == within[None])).double()


class _Filters:
    """All weights that write some channels, one row a channel."""

    def __init__(self, model: nn.Module, graph: ChannelGraph) -> None:
        self.rows = [
            (layer.outputs, layer.window.by_output(graph.program.tensor(model, layer.weight).detach().double()))
            for layer in graph.layers
        ]

    def __call__(self, cell: Tensor) -> Tensor:
        found = []
        for outputs, weight in self.rows:
            rows = weight.flatten(0, 1).flatten(1)
            place = {channel: at for at, channel in enumerate(outputs.tolist())}
            if all(int(channel) in place for channel in cell):
                found.append(rows[[place[int(channel)] for channel in cell]])
        return torch.cat(found, 1) if found else torch.zeros(len(cell), 1, dtype=torch.float64)


def _tensor(module: nn.Module, name: str) -> Tensor:
    tensor = find_tensor(module, name)
    assert tensor is not None
    return tensor

"""Cut a network for real: a deep copy of the user's own module with every tensor sliced along its channel axes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from model_lego.graph.channels import Axis, ChannelGraph, Follow
from model_lego.graph.channels_last import is_innermost, laid_innermost
from model_lego.graph.held_numbers import number_at, put_number
from model_lego.graph.modules import find_tensor, hookless_copy
from model_lego.graph.selection import ChannelSelection
from model_lego.graph.spare import put_absent
from model_lego.parts.component import Component


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A cut network and what was changed besides tensor values.

    `attributes`: module path -> attribute -> new value; `dropped`: modules that eval mode does without; `left`: tensors
    that it does not read either, in modules that it needs, which stay as they were. `stale` are attributes that may
    hold a number of channels that is another one now.
    """

    module: nn.Module
    attributes: Mapping[str, Mapping[str, int]]
    dropped: tuple[str, ...]
    left: tuple[str, ...]
    stale: tuple[str, ...]


def slice_model(model: nn.Module, graph: ChannelGraph, selection: ChannelSelection) -> Slice:
    """Copy a network and keep only the selected channels; the source is left as it is."""
    twin = hookless_copy(model, share=[_tensor(model, name) for name in graph.axes])  # each is replaced below
    rank = ranks(graph, selection)
    with torch.no_grad():
        for name, axes in graph.axes.items():
            tensor = _tensor(twin, name)
            narrow = sliced(folded(tensor, name, graph, selection), axes, selection, rank)
            _replace(twin, graph.program.aliases.get(name, (name,)), tensor, narrow)
    attributes: dict[str, dict[str, int]] = {}
    for follow in graph.follows:
        _follow(twin, follow, selection, attributes)
    stale = _follow_names(twin, graph, selection, attributes)
    for path in graph.spare:  # uncut they would not fit the rest in training
        put_absent(twin, path)
    gone = tuple(f"{path}." for path in graph.spare)
    left = tuple(name for name in graph.unused if not name.startswith(gone))
    return Slice(twin, attributes, graph.spare, left, stale)


def _tensor(model: nn.Module, name: str) -> Tensor:
    tensor = find_tensor(model, name)
    assert tensor is not None  # the name comes from this very network
    return tensor


def sliced(tensor: Tensor, axes: Mapping[int, Axis], selection: ChannelSelection, rank: Tensor) -> Tensor:
    """Copy the selected channels along each axis of a tensor, in its own memory format."""
    whole, laid_last = tensor, is_innermost(tensor)
    for dim in sorted(axes, reverse=True):  # a grouped input axis needs all output channels in place
        tensor = _slice_axis(tensor, dim, axes[dim], selection, rank)
    if laid_last:
        return laid_innermost(tensor)
    return tensor.clone(memory_format=torch.contiguous_format) if tensor is whole else tensor.contiguous()


def folded(tensor: Tensor, name: str, graph: ChannelGraph, selection: ChannelSelection) -> Tensor:
    """A tensor of the source, times what makes up for scales that follow a narrower width."""
    for dim, factors in fold_factors(graph, selection, name):
        tensor = (tensor.movedim(dim, -1) * factors.to(tensor)).movedim(-1, dim)
    return tensor


def fold_factors(graph: ChannelGraph, selection: ChannelSelection, name: str) -> Iterator[tuple[int, Tensor]]:
    """By what the positions along a dimension of a tensor are multiplied (float64), where they are."""
    for fold in graph.folds:
        if fold.tensor == name and (factor := fold.factor(selection.keep)) != 1:
            yield fold.dim, torch.ones(len(fold.positions), dtype=torch.float64).masked_fill(fold.positions, factor)


def kept_positions(channels: Tensor, selection: ChannelSelection, rank: Tensor | None = None) -> Tensor:
    """Positions of an axis that are kept; logits come in the order in which they were chosen."""
    positions = selection.keep[channels].nonzero().reshape(-1)
    if rank is None or not bool((rank[channels[positions]] >= 0).any()):
        return positions
    return positions[torch.argsort(rank[channels[positions]], stable=True)]


def ranks(graph: ChannelGraph, selection: ChannelSelection) -> Tensor:
    """Place of each logit's channel in the order chosen, -1 for all other channels."""
    rank = torch.full((graph.width,), -1, dtype=torch.int64)
    rank[graph.head[list(selection.logits)]] = torch.arange(len(selection.logits))
    return rank


def _slice_axis(tensor: Tensor, dim: int, axis: Axis, selection: ChannelSelection, rank: Tensor) -> Tensor:
    if axis.groups == 1:
        positions = kept_positions(axis.channels, selection, rank)
        if len(positions) == tensor.shape[dim] and torch.equal(positions, torch.arange(len(positions))):
            return tensor
        return tensor.index_select(dim, positions.to(tensor.device))
    blocks = tensor.chunk(axis.groups, 0)
    rows = axis.channels.reshape(axis.groups, -1)
    return torch.cat(
        [
            block.index_select(dim, kept_positions(row, selection).to(tensor.device))
            for block, row in zip(blocks, rows, strict=True)
        ]
    )


def _replace(model: nn.Module, names: tuple[str, ...], old: Tensor, new: Tensor) -> None:
    """Put one tensor under all names of the old one, so that tied tensors stay tied."""
    if isinstance(old, nn.Parameter):
        new = nn.Parameter(new, requires_grad=old.requires_grad)
    for name in names:
        path, _, attribute = name.rpartition(".")
        owner = model.get_submodule(path)
        if attribute in owner._parameters:
            owner._parameters[attribute] = new  # type: ignore[assignment]
        elif attribute in owner._buffers:
            owner._buffers[attribute] = new
        else:
            setattr(owner, attribute, new)


def _follow(model: nn.Module, follow: Follow, selection: ChannelSelection, changed: dict[str, dict[str, int]]) -> None:
    """Let an attribute that holds a number of channels follow the cut."""
    ins, outs = len(follow.inputs), len(follow.outputs)
    kept_in, kept_out = selection.kept(follow.inputs), selection.kept(follow.outputs)
    old, new = {
        "inputs": (ins, kept_in),
        "outputs": (outs, kept_out),
        "groups": (follow.groups, follow.groups * kept_out // outs if follow.divided else follow.groups),
        "each": (ins // outs, kept_in // max(1, kept_out)),
    }[follow.holds]
    owner = model.get_submodule(follow.owner)
    if number_at(owner, follow.attribute) != old:
        return
    put_number(owner, follow.attribute, new)
    if new != old:
        changed.setdefault(follow.owner, {})[follow.attribute] = new


def _follow_names(
    model: nn.Module, graph: ChannelGraph, selection: ChannelSelection, changed: dict[str, dict[str, int]]
) -> tuple[str, ...]:
    """Let attributes that tell how wide something is follow the cut; gives the names of those that cannot.

    Two of a module that differed, or did not, stay so: a forward may ask (a block adds its input if both are equal).
    All follow where it divides channels or views them by numbers, which may be these (`in_channels // 2`).
    """
    gone = tuple(f"{path}." for path in graph.spare)
    owners: dict[str, list[Follow]] = {}
    for follow in graph.named:
        if not f"{follow.owner}.".startswith(gone):
            owners.setdefault(follow.owner, []).append(follow)
    stale = [each for each in graph.unclear if selection.kept(each.channels) < len(each.channels)]
    names = [f"{each.owner}.{each.attribute}" for each in stale if not f"{each.owner}.".startswith(gone)]
    dividing = {suspect.where for suspect in graph.suspects}
    for path, follows in owners.items():
        widths = [(len(follow.outputs), selection.kept(follow.outputs)) for follow in follows]
        alike = all((one[0] == other[0]) == (one[1] == other[1]) for one, other in combinations(widths, 2))
        if alike or path in dividing:
            for follow in follows:
                _follow(model, follow, selection, changed)
        else:
            names += [f"{path}.{follow.attribute}" for follow in follows]
    return tuple(name.removeprefix(".") for name in names)


def selection_of(component: Component, graph: ChannelGraph) -> ChannelSelection:
    """The channels that a component kept, read off its origin."""
    keep = torch.zeros(graph.width, dtype=torch.bool)
    for layer in graph.layers:
        keep[layer.outputs[list(component.origin.kept_outputs[layer.name])]] = True
        keep[layer.inputs[list(component.origin.kept_inputs[layer.name])]] = True
    heads = graph.head_of[keep]
    keep[heads[heads >= 0]] = True
    return ChannelSelection(keep, component.labels)

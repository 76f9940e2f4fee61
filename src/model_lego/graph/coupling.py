"""From a network to its channel graph: what the rows of the table report is collected and tied together."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.errors import RefusedError
from model_lego.graph import labels as lab
from model_lego.graph.attention import (
    counted,
    heads_of,
    held_heads,
    held_rows,
    tie_heads,
    whole_beside_whole,
    with_blocks,
)
from model_lego.graph.balancing import inseparable, joined, knots
from model_lego.graph.channels import Axis, Balance, ChannelGraph, ChannelGroup, Follow, Freeze, Heads, Suspect
from model_lego.graph.collector import IMAGES, Builder
from model_lego.graph.group_counts import find_group_counts, find_shapes, find_splits
from model_lego.graph.head import head_channels
from model_lego.graph.modules import find_tensor
from model_lego.graph.named_widths import Widths, named_widths
from model_lego.graph.op_table import RULES
from model_lego.graph.ops.movement import VIEWS
from model_lego.graph.ownership import refuse_foreign
from model_lego.graph.program import Program, export_program
from model_lego.graph.propagation import carry_labels
from model_lego.graph.quantisation import refuse_quantised
from model_lego.graph.query_scales import find_folds
from model_lego.graph.randomness import refuse_random
from model_lego.graph.rule import OpRule
from model_lego.graph.same_answer import refuse_other_operators
from model_lego.graph.spare import spare_modules
from model_lego.graph.stream_widths import matched_widths
from model_lego.graph.written_images import refuse_written_images

WRITTEN_IN = "the forward has the number of channels written into it"
INSEPARABLE = "lies in blocks that must stay equal, which no part of it can leave"


def read_graph(
    model: nn.Module,
    example: Tensor,
    *,
    rules: Mapping[object, OpRule] = RULES,
    program: Program | None = None,
    whole: frozenset[str] = frozenset(),
    stiff: bool = False,
    matched: bool = False,
    lone: bool = False,
) -> ChannelGraph:
    """Read the channel graph of a classifier off its exported operators; the model is left as it is.

    `example` is a batch of images (B x C x H x W) like those the network takes; a `program` exported already is used
    as it is. `whole` names lines of code whose channels are kept whole, because the forward there has their number
    written into it; with `stiff` a head of attention keeps its width or goes; with `matched` what is viewed by the
    width of a stream keeps as many channels as it. A single logit is refused, but for `lone`: a component of one class.
    Raises UnsupportedOpError, RefusedError, TraceFailed, ShapeMismatch.
    """
    exported = program is None
    if program is None:
        program = export_program(model, example)
        refuse_written_images(program, model, example)
    if len(program.outputs) != 1 or not isinstance(program.output.meta["val"], Tensor):
        raise RefusedError(f"the network gives {len(program.outputs)} values; it has to give one tensor of logits")
    refuse_random(program)
    refuse_quantised(program.nodes)
    images = example[:1].repeat(2, *[1] * (example.dim() - 1))
    if exported:
        refuse_other_operators(program, model, images)
    builder = Builder(program)
    values = carry_labels(program, rules, builder)
    refuse_foreign(model, program, builder.axes)
    find_group_counts(builder, model)
    find_shapes(builder, model, values)
    find_splits(builder, model)
    if stiff:
        builder.edges += [
            (heads.rows[:, :1].expand_as(heads.rows).flatten(), heads.rows.flatten()) for heads in builder.attention
        ]
    graph = _finish(builder, rules, values, model, whole, matched, lone)
    return replace(graph, spare=spare_modules(model, graph.unused, images))


def _finish(
    builder: Builder,
    rules: Mapping[object, OpRule],
    values: Mapping[fx.Node, Any],
    model: nn.Module,
    whole: frozenset[str],
    matched: bool,
    lone: bool,
) -> ChannelGraph:
    find_folds(builder, rules, values, model)
    channel = _channels(builder)
    while builder.attention and (edges := whole_beside_whole(_rows_and_balances(builder, channel)[0], channel)):
        builder.edges += edges
        channel = _channels(builder)
    width = int(channel.max()) + 1
    axes = {
        name: {dim: Axis(channel[axis.channels], axis.groups) for dim, axis in dims.items()}
        for name, dims in builder.axes.items()
    }
    frozen = [(channel[points], freeze) for points, freeze in builder.frozen]
    for name, points in builder.leaves.items():
        frozen += _leaf_axes(name, channel[points], builder, channel, axes, model)
    suspects = [replace(suspect, channels=channel[suspect.channels]) for suspect in builder.suspects]
    frozen += [(s.channels, Freeze(WRITTEN_IN, s.where)) for s in suspects if s.line in whole]
    statistics = tuple(replace(each, channels=channel[each.channels]) for each in builder.statistics)
    attention = heads_of(builder, channel)
    frozen += held_heads(attention, frozen, width)
    frozen += held_rows(attention, torch.cat([channels for channels, _ in frozen]))
    is_frozen, written = torch.zeros(2, width, dtype=torch.bool)
    for channels, _ in frozen:
        is_frozen[channels] = True
    for name, points in builder.writers:
        written[channel[points]] |= name != IMAGES
    if matched:
        read = Widths(builder.program, values, torch.arange(builder.size))
        made = _views(builder.suspects, values, torch.arange(builder.size), builder.program)
        builder.balances += matched_widths(builder.suspects, made, read)
    attention, balances = _rows_and_balances(builder, channel)
    products = tuple(
        replace(each, operands={place: _coupled(labels, channel) for place, labels in each.operands.items()})
        for each in builder.products
    )
    owned = {(follow.owner, follow.attribute) for follow in builder.follows}
    counts, equal = counted(model, attention, products, owned)
    graph = ChannelGraph(
        program=builder.program,
        rules=rules,
        width=width,
        layers=tuple(
            replace(layer, inputs=channel[layer.inputs], outputs=channel[layer.outputs]) for layer in builder.layers
        ),
        groups=_groups(builder.writers, channel, width, frozen),
        axes=axes,
        frozen=is_frozen,
        freezes=tuple(dict.fromkeys(_told(*each, builder, channel) for each in frozen if bool(written[each[0]].any()))),
        balances=balances,
        suspects=tuple(suspect for suspect in suspects if suspect.line not in whole),
        follows=(
            *(
                replace(follow, inputs=channel[follow.inputs], outputs=channel[follow.outputs])
                for follow in builder.follows
            ),
            *_row_counts(builder, channel, model),
            *counts,
        ),
        divided=tuple(replace(each, channels=channel[each.channels]) for each in builder.divided),
        statistics=statistics,
        head=head_channels(
            builder.program, values, channel, [*frozen, *((s.channels, s.why) for s in statistics)], lone
        ),
        births={key: channel[points] for key, points in builder.births.items()},
        unused=_unused(builder.program, model),
        attention=(*attention, *equal),
        products=products,
        views=_views(suspects, values, channel, builder.program),
        alike={node: channel[points] for node, points in builder.alikes.items()},
        folds=tuple(replace(fold, rows=channel[fold.rows]) for fold in builder.folds),
    )
    known = {(follow.owner, follow.attribute) for follow in graph.follows}
    widths = Widths(builder.program, values, channel)
    named, unclear = named_widths(model, widths, graph.layers, graph.head, known)
    return _with_inseparable(replace(graph, named=named, unclear=unclear))


def _channels(builder: Builder) -> Tensor:
    """The channel of each point: those that are coupled are one."""
    tie_heads(builder)
    edges = builder.edges or [(torch.empty(0, dtype=torch.int64),) * 2]
    left, right = (torch.cat([edge[side] for edge in edges]) for side in (0, 1))
    return lab.components(builder.size, left, right)


def _rows_and_balances(builder: Builder, channel: Tensor) -> tuple[tuple[Heads, ...], tuple[Balance, ...]]:
    """Rows of heads that keep equal numbers, and other blocks that do."""
    return with_blocks(heads_of(builder, channel), joined(_balances(builder, channel)), int(channel.max()) + 1)


def _views(
    suspects: Iterable[Suspect], values: Mapping[fx.Node, Any], channel: Tensor, program: Program
) -> dict[str, Tensor]:
    """The coupled channel at each position of what the views of suspects give."""
    names = {suspect.node for suspect in suspects}
    nodes = (node for node in program.nodes if node.name in names and node.target in VIEWS)
    return {node.name: _coupled(values[node], channel) for node in nodes if isinstance(values[node], Tensor)}


def _coupled(labels: Tensor, channel: Tensor) -> Tensor:
    """Labels by coupled channels."""
    return torch.where(labels == lab.NONE, lab.NONE, channel[labels])


def _told(channels: Tensor, freeze: Freeze, builder: Builder, channel: Tensor) -> Freeze:
    """A freeze as people are told of it: layers that write channels of the images are named, not the images."""
    if freeze.where != IMAGES:
        return freeze
    mine = (
        name for name, points in builder.writers if name != IMAGES and bool(torch.isin(channel[points], channels).any())
    )
    return replace(freeze, where=next(mine))


def _balances(builder: Builder, channel: Tensor) -> tuple[Balance, ...]:
    """Blocks that keep equal numbers; the rows of a view need not where each of them is kept or cut whole."""
    blocks = [replace(each, blocks=channel[each.blocks]) for each in builder.balances]
    grids = [replace(each, blocks=channel[each.blocks]) for each in builder.grids]
    return (*blocks, *(grid for grid in grids if not _whole_rows(grid.blocks)))


def _row_counts(builder: Builder, channel: Tensor, model: nn.Module) -> Iterator[Follow]:
    """Attributes that count the rows of a view, where each row is kept or cut whole (the groups of an EvoNorm).

    They are known by their value and by the module that makes the view; `trace` tries them, as it does all views.
    """
    known = {(follow.owner, follow.attribute) for follow in builder.follows}
    for grid in builder.grids:
        rows = channel[grid.blocks]
        held = vars(model.get_submodule(grid.where)) if _whole_rows(rows) else {}
        for attribute, value in held.items():
            if type(value) is int and value == len(rows) and (grid.where, attribute) not in known:
                known.add((grid.where, attribute))
                channels = rows.reshape(-1)
                yield Follow(grid.where, attribute, "groups", channels, channels, len(rows), divided=True)


def _whole_rows(rows: Tensor) -> bool:
    return bool((rows == rows[:, :1]).all())


def _with_inseparable(graph: ChannelGraph) -> ChannelGraph:
    """Freeze the channels that blocks which overlap hold together, and the heads in which they lie."""
    for knot in knots(graph):
        channels = inseparable(knot, graph.frozen)
        heads = graph.head_of[channels].unique()
        graph = with_frozen(graph, torch.cat([channels, heads[heads >= 0]]), INSEPARABLE)
    return graph


def with_frozen(graph: ChannelGraph, channels: Tensor, reason: str) -> ChannelGraph:
    """The graph with more channels frozen, for a reason that belongs to no single operator."""
    if not len(channels):
        return graph
    frozen = graph.frozen.clone()
    frozen[channels] = True
    held = [bool(torch.isin(group.channels, channels).any()) for group in graph.groups]
    groups = tuple(
        replace(group, frozen=tuple(dict.fromkeys((*group.frozen, reason)))) if mine else group
        for group, mine in zip(graph.groups, held, strict=True)
    )
    freezes = [Freeze(reason, group.name) for group, mine in zip(groups, held, strict=True) if mine]
    return replace(graph, frozen=frozen, groups=groups, freezes=(*graph.freezes, *freezes))


def _leaf_axes(
    name: str,
    channels: Tensor,
    builder: Builder,
    channel: Tensor,
    axes: dict[str, dict[int, Axis]],
    model: nn.Module,
) -> list[tuple[Tensor, Freeze]]:
    """Say which dimension of an operand tensor stands for channels, or freeze what it touches."""
    written = torch.zeros(int(channel.max()) + 1, dtype=torch.bool)
    for _, points in builder.writers:
        written[channel[points]] = True
    narrow = lab.compress(channels)
    carried = lab.carried(narrow)
    where = name.rpartition(".")[0]
    if not bool(written[narrow].all()):
        return [(narrow.reshape(-1), Freeze(f"tensor '{name}' stands for no channels of a layer", where))]
    if len(carried) != 1:
        return [(narrow.reshape(-1), Freeze(f"tensor '{name}' carries channels along {len(carried)} axes", where))]
    if name in axes or find_tensor(model, name) is None:
        return [(narrow.reshape(-1), Freeze(f"tensor '{name}' cannot be cut where it is", where))]
    axes[name] = {carried[0]: Axis(narrow.reshape(-1))}
    return []


def _groups(
    writers: list[tuple[str, Tensor]], channel: Tensor, width: int, frozen: list[tuple[Tensor, Freeze]]
) -> tuple[ChannelGroup, ...]:
    """Channels that are connected through common writers."""
    sets = [(name, channel[points].unique()) for name, points in writers if len(points)]
    left = torch.cat([channels[:-1] for _, channels in sets])
    right = torch.cat([channels[1:] for _, channels in sets])
    number = lab.components(width, left, right)
    names: dict[int, list[str]] = {}
    for name, channels in sets:
        names.setdefault(int(number[channels[0]]), []).append(name)
    reasons: dict[int, list[str]] = {}
    for channels, freeze in frozen:
        for group in number[channels].unique().tolist():
            reasons.setdefault(group, []).append(freeze.reason)
    members = torch.argsort(number, stable=True).split(torch.bincount(number).tolist())
    return tuple(
        ChannelGroup(
            name=found[0],
            writers=tuple(dict.fromkeys(found)),
            channels=members[group],
            frozen=tuple(dict.fromkeys(reasons.get(group, []))),
        )
        for group, found in names.items()
        if found[0] != IMAGES
    )


def _unused(program: Program, model: nn.Module) -> tuple[str, ...]:
    """Tensors that no operator of the eval-mode graph reads: auxiliary heads, dead branches."""
    used = {
        name
        for node in program.nodes
        if node.op == "placeholder" and node.users and node.name in program.tensors
        for name in program.aliases[program.tensors[node.name]]
    }
    return tuple(name for name, _ in model.named_parameters() if name not in used)

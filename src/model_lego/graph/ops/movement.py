"""Operators that only move values: the labels are moved by running the operator on them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import overload, rows
from model_lego.graph.ops.frozen import COMPUTED_POSITIONS, whole
from model_lego.graph.rule import Call, OpRule, Route, tied_along

SPLIT = "is split at channel numbers written into the forward"


def moved(call: Call, operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
    """Run a data-moving operator on the labels of the first argument, at full size, and narrow the result."""
    result: Tensor = operator(lab.spread(call.args[0], call.shape()), *args, **kwargs)
    return lab.compress(result)


def dims_only(call: Call) -> Tensor:
    """Operators that reorder, add or drop whole dimensions: the narrowed labels go through as they are.

    A grid of channels that is transposed stays a grid after a cut only where all its rows keep the same columns.
    """
    labels: Tensor = call.args[0].contiguous()
    result: Tensor = call.node.target(labels, *call.args[1:], **call.kwargs)  # type: ignore[operator]
    strides = [result.stride(dim) for dim in lab.carried(result)]
    if strides != sorted(strides, reverse=True):
        _same_columns(call, _grid(labels, lab.carried(labels)))
    return result


def squeeze(call: Call) -> Tensor:
    """Drop dimensions of size 1 of the value (narrowed label dimensions have size 1 as well)."""
    full = lab.spread(call.args[0], call.shape())
    return lab.compress(call.node.target(full, *call.args[1:]))  # type: ignore[operator]


def reshape(call: Call) -> Tensor:
    """Views: a channel axis that becomes a grid needs rows of equal numbers; sizes written in are suspect."""
    labels: Tensor = call.args[0]
    result = moved(call, torch.reshape, tuple(call.out))
    if bool((labels == lab.NONE).all()):
        return result
    axes = lab.carried(result)
    if len(axes) > 1:
        call.tracker.grid(_grid(result, axes), call)
    elif _rows_of_one(call, axes):
        call.tracker.grid(result.reshape(-1, 1), call)
    written = call.written(1) if isinstance(call.node.args[1], list | tuple) else ()
    touched = [dim for dim, fixed in enumerate(written) if fixed and call.out[dim] > 1]
    if any(_holds_channels(call, result, dim) for dim in touched):
        call.tracker.suspect(labels, call)
    return result


def _rows_of_one(call: Call, axes: tuple[int, ...]) -> bool:
    """Whether maps get a dimension of 1 behind their channels, as do groups of one channel: `(B, groups, -1, H, W)`."""
    batch, *rest = call.shape()
    return axes == (1,) and len(rest) > 1 and list(call.out) == [batch, rest[0], 1, *rest[1:]]


def _holds_channels(call: Call, result: Tensor, dim: int) -> bool:
    return result.shape[dim] > 1 or (len(lab.carried(result)) == 0 and dim == 1)


def _grid(labels: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The carrying dimensions as rows x columns, the last one along the columns."""
    return labels.reshape([labels.shape[dim] for dim in axes]).reshape(-1, labels.shape[axes[-1]])


def _same_columns(call: Call, grid: Tensor) -> None:
    for row in grid[1:]:
        call.tracker.couple(grid[0], row, call)


def flatten(call: Call) -> Tensor:
    """Join dimensions; the sizes are taken from the value, never written in."""
    return moved(call, call.node.target, *call.args[1:], **call.kwargs)  # type: ignore[arg-type]


def expand(call: Call) -> Tensor:
    """Repeat dimensions of size 1; channels that are repeated over other positions cannot be cut."""
    labels: Tensor = call.args[0]
    grown = len(call.out) - len(call.shape())
    result = labels.reshape((1,) * grown + tuple(labels.shape))
    call.tracker.suspect(labels, call)
    return result


def chunk(call: Call) -> tuple[Tensor, ...]:
    """Equal blocks, counted from the size at run time."""
    dim = call.arg(2, "dim", 0) % len(call.shape())
    return _blocks(call, dim, [shape[dim] for shape in call.out_shapes], written=False)


def split(call: Call) -> tuple[Tensor, ...]:
    """Blocks whose size is a number in the graph: it may be computed or written in."""
    dim = call.arg(2, "dim", 0) % len(call.shape())
    return _blocks(call, dim, [shape[dim] for shape in call.out_shapes], written=True)


def unbind(call: Call) -> tuple[Tensor, ...]:
    """One result for each position of a dimension."""
    dim = call.arg(1, "dim", 0) % len(call.shape())
    labels: Tensor = call.args[0]
    if labels.shape[dim] == 1:
        return tuple(labels.squeeze(dim) for _ in call.out_shapes)
    if len(lab.carried(labels)) == 1:
        call.tracker.freeze(labels, "is taken apart channel by channel", call)
    return tuple(lab.compress(part) for part in labels.unbind(dim))


def _blocks(call: Call, dim: int, sizes: list[int], *, written: bool) -> tuple[Tensor, ...]:
    labels: Tensor = call.args[0]
    if labels.shape[dim] == 1:
        return tuple(labels for _ in sizes)
    several = len(lab.carried(labels)) > 1
    if several and not written:  # of a grid, as heads are turned in halves: what lies along it goes together
        return (tied_along(call, labels, {dim}),) * len(sizes)
    if len(set(sizes)) == 1 and not several:
        call.tracker.balance(labels.reshape(len(sizes), -1), call)
        if written:
            call.tracker.suspect(labels, call)
    elif written and not several and bool((labels != lab.NONE).all()):
        call.tracker.pieces(labels.reshape(-1).split(sizes), call)
    else:
        call.tracker.freeze(labels, SPLIT, call)
    return tuple(lab.compress(part) for part in labels.split(sizes, dim))


def slice_(call: Call) -> Tensor:
    """A range along one dimension; on channels it is suspect, and needs equal blocks or freezes."""
    labels: Tensor = call.args[0]
    dim = call.arg(1, "dim", 0) % len(call.shape())
    size, taken = call.shape()[dim], call.out[dim]
    if labels.shape[dim] == 1 or size == taken:
        return labels
    if len(lab.carried(labels)) > 1:  # of a grid, or a table: what lies along it goes together
        return tied_along(call, labels, {dim})
    start = call.arg(2, "start") or 0
    start = max(start + size, 0) if start < 0 else start
    step = call.arg(4, "step", 1)
    equal = step == 1 and size % taken == 0 and start % taken == 0
    if equal:
        call.tracker.balance(labels.reshape(size // taken, taken), call)
        call.tracker.suspect(labels, call)
    else:
        call.tracker.freeze(labels, "is sliced at channel numbers written into the forward", call)
    positions = torch.arange(start, min(size, start + taken * step), step)
    return lab.compress(labels.index_select(dim, positions))


def select(call: Call) -> Tensor:
    """One position of a dimension."""
    labels: Tensor = call.args[0]
    dim = call.arg(1, "dim", 0) % len(call.shape())
    if labels.shape[dim] == 1:
        return labels.squeeze(dim)
    if len(lab.carried(labels)) > 1:  # one of queries, keys and values
        call.tracker.suspect(labels, call)
    else:
        call.tracker.freeze(labels, "is read at a channel number written into the forward", call)
    return lab.compress(labels.select(dim, call.arg(2, "index")))


def pad(call: Call) -> Tensor:
    """Constant padding; on the channel axis it adds channels that cannot be cut."""
    labels: Tensor = call.args[0]
    amounts = call.arg(1, "pad")
    for dim in lab.carried(labels):
        place = 2 * (labels.dim() - 1 - dim)
        before, after = (amounts[place], amounts[place + 1]) if place < len(amounts) else (0, 0)
        if before == after == 0:
            continue
        if before < 0 or after < 0 or call.arg(2, "mode", "constant") != "constant" or len(lab.carried(labels)) > 1:
            call.tracker.freeze(labels, "is padded along the channels with other than constants", call)
            return lab.along(call.tracker.fresh(call.out[dim], "padding", call), labels.dim(), dim)
        added = call.tracker.fresh(before + after, "is a number of padded channels written into the forward", call)
        middle = lab.vector(labels, call.shape(), dim)
        assert middle is not None  # there is one carrying dimension only
        labels = lab.along(torch.cat([added[:before], middle, added[before:]]), labels.dim(), dim)
    return labels


def whole_moves(call: Call) -> Tensor:
    """Moves for which only values without channels along the moved dimensions are followed."""
    result = moved(call, call.node.target, *call.args[1:], **call.kwargs)  # type: ignore[arg-type]
    if result.shape != call.args[0].shape:
        call.tracker.suspect(call.args[0], call)
    return result


def roll(call: Call) -> Tensor:
    """Channels that come round to the other end are kept whole: of fewer channels, others would come round."""
    labels = lab.spread(call.args[0], call.shape())
    shifts, dims = (list(one) if isinstance(one, list | tuple) else [one] for one in (*call.args[1:], [])[:2])
    for shift, dim in zip(shifts, dims or [0], strict=True):
        size = labels.shape[dim]
        if call.args[0].shape[dim] > 1 or not dims:  # without dimensions the value is rolled as one row
            round_the_end = size if abs(shift) >= size or not dims else abs(shift)
            start = size - round_the_end if shift > 0 else 0
            reason = "comes round to the other end by a number written into the forward"
            call.tracker.freeze(labels.narrow(dim, start, round_the_end), reason, call)
    return moved(call, torch.roll, shifts, dims)


def glu(call: Call) -> Tensor:
    """Half of the channels gates the other: equal positions of both halves go together."""
    labels: Tensor = call.args[0]
    dim = call.arg(1, "dim", -1) % labels.dim()
    if labels.shape[dim] == 1:
        return labels
    values, gates = labels.chunk(2, dim)
    call.tracker.couple(values, gates, call)
    return lab.compress(values)


def channel_shuffle(call: Call) -> Tensor:
    """The labels are shuffled along; blocks must keep equal numbers."""
    return _shuffled(call, lambda channels: _same_columns(call, channels.reshape(call.args[1], -1)))


def pixel_unshuffle(call: Call) -> Tensor:
    """Each channel becomes a block of channels."""
    return _shuffled(call, lambda channels: None)


def pixel_shuffle(call: Call) -> Tensor:
    """Blocks of channels become pixels, so that they are kept whole."""
    freeze, reason = call.tracker.freeze, "pixel_shuffle makes pixels of channels"
    return _shuffled(call, lambda channels: freeze(call.args[0], reason, call))


def im2col(call: Call) -> Tensor | tuple[Tensor, ...]:
    """Each channel becomes a block of those that its pixels in a window make."""
    if len(call.shape()) != 4 or lab.carried(call.args[0]) not in ((), (1,)):
        return whole(COMPUTED_POSITIONS)(call)
    channels = lab.vector(call.args[0], call.shape(), 1)
    assert channels is not None  # at most that dimension carries any
    return lab.compress(lab.along(channels.repeat_interleave(call.out[1] // call.shape()[1]), 3, 1))


def col2im(call: Call) -> Tensor | tuple[Tensor, ...]:
    """What `im2col` takes apart is added up again: the channels of a block go together."""
    if len(call.shape()) != 3 or lab.carried(call.args[0]) not in ((), (1,)):
        return whole(COMPUTED_POSITIONS)(call)
    channels = lab.vector(call.args[0], call.shape(), 1)
    assert channels is not None  # as above
    blocks = channels.reshape(call.out[1], -1)
    call.tracker.couple(blocks[:, :1].expand_as(blocks), blocks, call)
    return lab.compress(lab.along(blocks[:, 0], 4, 1))


def _shuffled(call: Call, report: Callable[[Tensor], None]) -> Tensor:
    """The labels of a shuffle, which reports what it does with the channels, one at each position of their axis."""
    channels = lab.vector(call.args[0], call.shape(), 1)
    if channels is None:
        call.tracker.freeze(call.args[0], "is shuffled over two axes of channels", call)
        return lab.neutral(len(call.out))
    result = moved(call, call.node.target, *call.args[1:])  # type: ignore[arg-type]
    report(channels)
    return result


def _unflatten(call: Call) -> Tensor:
    """Views whose sizes come from elsewhere: followed like a view with every size written in."""
    result = moved(call, torch.reshape, tuple(call.out))
    axes = lab.carried(result)
    if len(axes) > 1:
        call.tracker.grid(_grid(result, axes), call)
    call.tracker.suspect(call.args[0], call)
    return result


_VIEWS = ["view", "reshape", "_unsafe_view"]
#: Operators that are given all sizes of their result.
VIEWS = frozenset(map(overload, (*_VIEWS, "expand")))

ROWS: dict[object, OpRule] = {
    **rows(
        ["permute", "transpose.int", "unsqueeze", "t", "movedim.int", "moveaxis.int", "swapaxes", "numpy_T", "mT"],
        OpRule("", Route.MOVES, dims_only),
    ),
    **rows(["squeeze", "squeeze.dim", "squeeze.dims"], OpRule("", Route.MOVES, squeeze)),
    **rows(_VIEWS, OpRule("", Route.MOVES, reshape)),
    **rows(["flatten.using_ints"], OpRule("", Route.MOVES, flatten)),
    **rows(["unflatten.int", "view_as", "reshape_as"], OpRule("", Route.MOVES, _unflatten)),
    **rows(["expand", "expand_as"], OpRule("", Route.MOVES, expand)),
    **rows(["glu"], OpRule("", Route.JOINS, glu)),
    **rows(["chunk"], OpRule("", Route.MOVES, chunk)),
    **rows(["split.Tensor", "split_with_sizes", "split.sizes"], OpRule("", Route.MOVES, split)),
    **rows(["unbind.int"], OpRule("", Route.MOVES, unbind)),
    **rows(["slice.Tensor", "narrow"], OpRule("", Route.MOVES, slice_)),
    **rows(["select.int"], OpRule("", Route.MOVES, select)),
    **rows(["pad", "constant_pad_nd"], OpRule("", Route.MOVES, pad)),
    **rows(["roll"], OpRule("", Route.MOVES, roll)),
    **rows(
        ["flip", "fliplr", "flipud", "repeat", "tile", "repeat_interleave.self_int"],
        OpRule("", Route.MOVES, whole_moves),
    ),
    **rows(["channel_shuffle"], OpRule("", Route.MOVES, channel_shuffle)),
    **rows(["pixel_unshuffle"], OpRule("", Route.MOVES, pixel_unshuffle)),
    **rows(["im2col"], OpRule("", Route.MOVES, im2col)),
    **rows(["col2im"], OpRule("", Route.MOVES, col2im)),
    **rows(["pixel_shuffle"], OpRule("", Route.MOVES, pixel_shuffle)),
}

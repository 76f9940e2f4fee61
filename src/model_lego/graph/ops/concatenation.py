"""Operators that put values side by side, along the channels or along another dimension."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.rule import Call, OpRule, Route, tied_along


def cat(call: Call) -> Tensor:
    """Put values side by side; along any other dimension than the channels' they are tied."""
    return _side_by_side(call, call.args[0], call.shapes[0], call.arg(1, "dim", 0) % len(call.out))


def side_by_side(dim: int, raised: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensor]:
    """Operators that give values more dimensions, and put them side by side along one of them, or the only one."""

    def carry(call: Call) -> Tensor:
        shapes = [tuple(raised(torch.empty(shape, device="meta")).shape) for shape in call.shapes[0]]
        return _side_by_side(call, [raised(labels) for labels in call.args[0]], shapes, min(dim, len(call.out) - 1))

    return carry


def _column(value: Tensor) -> Tensor:
    """A value of one dimension as a column, others as they are."""
    return value if value.dim() > 1 else value.reshape(-1, 1)


def _side_by_side(call: Call, values: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], dim: int) -> Tensor:
    operands = [(labels, shape) for labels, shape in zip(values, shapes, strict=True) if shape != (0,)]
    others = {axis for labels, _ in operands for axis in lab.carried(labels) if axis != dim}
    if others and all(labels.shape[dim] == 1 for labels, _ in operands):
        first: Tensor = operands[0][0]
        for labels, _ in operands[1:]:
            _tie(call, first, labels)
        return first
    if others and all(lab.carried(labels) != (dim,) for labels, _ in operands):  # tokens, some of them of a tensor
        tied = [tied_along(call, labels, {dim}) for labels, _ in operands]
        return _side_by_side(call, tied, [shape for _, shape in operands], dim)
    vectors = []
    for labels, shape in operands:
        channels = lab.vector(labels, shape, dim)
        if channels is None:
            for every, _ in operands:
                call.tracker.freeze(every, "is concatenated along two axes of channels", call)
            return lab.neutral(len(call.out))
        vectors.append(_filled(call, channels))
    if dim != 0 and not others and _spatial(operands):
        along: Tensor = operands[0][0]
        return along
    return lab.compress(lab.along(torch.cat(vectors), len(call.out), dim))  # a head that is left alone is one channel


def _tie(call: Call, left: Tensor, right: Tensor) -> None:
    """Couple equal positions of labels of different narrowness."""
    wide, broad = torch.broadcast_tensors(left, right)
    call.tracker.couple(wide, broad, call)


def _spatial(operands: list[tuple[Tensor, tuple[int, ...]]]) -> bool:
    """Whether no operand carries a channel anywhere."""
    return all(bool((labels == lab.NONE).all()) for labels, _ in operands)


def _filled(call: Call, channels: Tensor) -> Tensor:
    missing = channels == lab.NONE
    if bool(missing.any()):
        channels = channels.clone()
        channels[missing] = call.tracker.fresh(int(missing.sum()), "has no channels of its own", call)
    return channels


def stack(call: Call) -> Tensor:
    """Branches in a new dimension: equal positions go together."""
    dim = call.arg(1, "dim", 0) % len(call.out)
    first, *others = call.args[0]
    for labels in others:
        _tie(call, first, labels)
    return first.unsqueeze(dim)  # type: ignore[no-any-return]


ROWS: dict[object, OpRule] = {
    **rows(["cat", "concat", "concatenate"], OpRule("", Route.JOINS, cat)),
    **rows(["vstack", "row_stack"], OpRule("", Route.JOINS, side_by_side(0, torch.atleast_2d))),
    **rows(["hstack"], OpRule("", Route.JOINS, side_by_side(1, torch.atleast_1d))),
    **rows(["column_stack"], OpRule("", Route.JOINS, side_by_side(1, _column))),
    **rows(["dstack"], OpRule("", Route.JOINS, side_by_side(2, torch.atleast_3d))),
    **rows(["stack"], OpRule("", Route.JOINS, stack)),
}

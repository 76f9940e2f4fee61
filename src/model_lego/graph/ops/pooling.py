"""Operators that reduce or resize space: pools, interpolation, means over pixels."""

import operator
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from torch import Tensor, fx

from model_lego.graph import labels as lab
from model_lego.graph.nodes import asserts
from model_lego.graph.ops import elementwise
from model_lego.graph.ops.elementwise import overload, rows
from model_lego.graph.rule import Call, OpRule, Route, tied_along

REDUCED = "is reduced over channels"


def spatial(dims: int) -> Callable[[Call], Tensor]:
    """Operators on the last `dims` dimensions, each channel for itself."""

    def carry(call: Call) -> Tensor:
        labels: Tensor = call.args[0]
        if any(dim >= labels.dim() - dims for dim in lab.carried(labels)):
            call.tracker.freeze(labels, "is pooled over channels", call)
            return lab.neutral(len(call.out))
        return labels

    return carry


def with_indices(dims: int) -> Callable[[Call], tuple[Tensor, ...]]:
    """Pools that also give positions."""
    carry = spatial(dims)

    def both(call: Call) -> tuple[Tensor, ...]:
        labels = carry(call)
        return (labels, labels)

    return both


def reduce(call: Call) -> Tensor | tuple[Tensor, ...]:
    """Largest, smallest, product … over dimensions; over channels it freezes them."""
    return _reduced(call, call.arg(1, "dim"))


def average(call: Call) -> Tensor | tuple[Tensor, ...]:
    """Mean, sum, deviation … over dimensions; those over channels that only scale them are over those that are kept."""
    return _reduced(call, call.arg(1, "dim"), scaling=True)


def norm(call: Call) -> Tensor | tuple[Tensor, ...]:
    """A norm or a quantile over dimensions, which stand behind its order."""
    return _reduced(call, call.arg(2, "dim"), scaling=call.node.target in _LENGTHS)


def scan(dim_at: int, default: int | None = None) -> Callable[[Call], Tensor]:
    """Operators that go along one dimension, named by an argument, such as sums and differences of neighbours."""

    def carry(call: Call) -> Tensor:
        labels: Tensor = call.args[0]
        if call.arg(dim_at, "dim", default) % labels.dim() not in lab.carried(labels):
            return labels
        call.tracker.freeze(labels, "is added up or compared along the channels", call)
        return lab.neutral(len(call.out))

    return carry


def _reduced(call: Call, given: Any, *, scaling: bool = False) -> Tensor | tuple[Tensor, ...]:
    labels: Tensor = call.args[0]
    size = len(call.shape())
    dims = range(size) if given is None or given == [] else [given] if isinstance(given, int) else given
    over = {dim % size for dim in dims}
    along = over & set(lab.carried(labels))
    if along and along < set(lab.carried(labels)):  # of a grid: what is read together goes together
        labels = tied_along(call, labels, along)
    elif along:
        (dim, *_) = along
        channels = lab.vector(labels, call.shape(), dim)
        if scaling and 0 not in over and channels is not None and lab.NONE not in channels and _only_scales(call.node):
            call.tracker.statistic(call, channels, dim, REDUCED)
        elif call.node.users:  # a number that nothing reads does no harm: the mean of all heads' weights
            call.tracker.freeze(labels, REDUCED, call)
        labels = labels.new_full([1 if dim in over else n for dim, n in enumerate(labels.shape)], lab.NONE)
    if len(call.out) < size:
        labels = labels.reshape([n for dim, n in enumerate(labels.shape) if dim not in over])
    return labels if len(call.out_shapes) == 1 else tuple(labels for _ in call.out_shapes)


def _only_scales(node: fx.Node) -> bool:
    """Whether a number for each pixel goes nowhere but into values with channels, number by number, as in a norm."""
    waiting = [node]
    while waiting:
        value = waiting.pop()
        for user in _readers(value):
            if user.target in _RESHAPING or (user.target in elementwise.ROWS and _size(user) == _size(value)):
                waiting.append(user)
            elif user.target not in elementwise.ROWS:
                return False
    return bool(node.users)


def _readers(node: fx.Node) -> Iterator[fx.Node]:
    """What reads a value, or the value repeated; to look at it is not to read it."""
    for user in node.users:
        readers = user.users if user.target in _EXPANDING else (user,)
        yield from (reader for reader in readers if not asserts(reader))


def _size(node: fx.Node) -> int:
    return prod(size for size in node.meta["val"].shape if isinstance(size, int))


_AVERAGING = [
    "mean.dim", "sum.dim_IntList", "var.correction", "std.correction", "var.dim", "std.dim", "var_mean.correction",
    "var_mean.dim", "nanmean",
]  # fmt: skip
_REDUCING = ["amax", "amin", "max.dim", "min.dim", "mean", "sum", "logsumexp", "prod.dim_int", "median.dim"]
_LENGTHS = (overload("linalg_vector_norm"), overload("norm.ScalarOpt_dim"))
#: What gives the numbers of a statistic another shape, and what repeats them.
_RESHAPING = (operator.getitem, *map(overload, ("unsqueeze", "squeeze.dim", "view", "reshape", "slice.Tensor")))
_EXPANDING = (overload("expand"), overload("expand_as"))

_POOLING_1D = [
    "avg_pool1d",
    "max_pool1d",
    "adaptive_avg_pool1d",
    "upsample_linear1d.vec",
    "upsample_nearest1d.vec",
    "_upsample_nearest_exact1d.vec",
]
_POOLING_2D = [
    "avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "upsample_nearest2d.vec", "upsample_bilinear2d.vec",
    "upsample_bicubic2d.vec", "_upsample_bilinear2d_aa.vec", "reflection_pad2d", "replication_pad2d",
    "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_nearest_exact2d.vec",
    "_upsample_bicubic2d_aa.vec",
]  # fmt: skip
_POOLING_3D = [
    "avg_pool3d",
    "max_pool3d",
    "adaptive_avg_pool3d",
    "upsample_trilinear3d.vec",
    "upsample_nearest3d.vec",
    "_upsample_nearest_exact3d.vec",
]

ROWS: dict[object, OpRule] = {
    **rows(_POOLING_1D, OpRule("", Route.KEEPS, spatial(1))),
    **rows(_POOLING_2D, OpRule("", Route.KEEPS, spatial(2))),
    **rows(_POOLING_3D, OpRule("", Route.KEEPS, spatial(3))),
    **rows(["adaptive_max_pool1d", "max_pool1d_with_indices"], OpRule("", Route.KEEPS, with_indices(1))),
    **rows(["adaptive_max_pool2d", "max_pool2d_with_indices"], OpRule("", Route.KEEPS, with_indices(2))),
    **rows(["adaptive_max_pool3d", "max_pool3d_with_indices"], OpRule("", Route.KEEPS, with_indices(3))),
    **rows(["cumsum"], OpRule("", Route.KEEPS, scan(1))),
    **rows(["diff"], OpRule("", Route.KEEPS, scan(2, -1))),
    **rows(_AVERAGING, OpRule("", Route.KEEPS, average)),
    **rows(_REDUCING, OpRule("", Route.KEEPS, reduce)),
    **rows(["linalg_vector_norm", "norm.ScalarOpt_dim", "kthvalue", "quantile.scalar"], OpRule("", Route.KEEPS, norm)),
}

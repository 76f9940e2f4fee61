"""Operators that reduce or resize space: pools, interpolation, means over pixels."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.rule import Call, OpRule, Route, tied_along


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
    """Mean, sum, max … over dimensions; over channels it freezes them."""
    return _reduced(call, call.arg(1, "dim"))


def norm(call: Call) -> Tensor | tuple[Tensor, ...]:
    """A norm or a quantile over dimensions, which stand behind its order."""
    return _reduced(call, call.arg(2, "dim"))


def scan(dim_at: int, default: int | None = None) -> Callable[[Call], Tensor]:
    """Operators that go along one dimension, named by an argument, such as sums and differences of neighbours."""

    def carry(call: Call) -> Tensor:
        labels: Tensor = call.args[0]
        if call.arg(dim_at, "dim", default) % labels.dim() not in lab.carried(labels):
            return labels
        call.tracker.freeze(labels, "is added up or compared along the channels", call)
        return lab.neutral(len(call.out))

    return carry


def _reduced(call: Call, given: Any) -> Tensor | tuple[Tensor, ...]:
    labels: Tensor = call.args[0]
    size = len(call.shape())
    dims = range(size) if given is None or given == [] else [given] if isinstance(given, int) else given
    over = {dim % size for dim in dims}
    along = over & set(lab.carried(labels))
    if along and along < set(lab.carried(labels)):  # of a grid: what is read together goes together
        labels = tied_along(call, labels, along)
    elif along:
        call.tracker.freeze(labels, "is reduced over channels", call)
        labels = labels.new_full([1 if dim in over else n for dim, n in enumerate(labels.shape)], lab.NONE)
    if len(call.out) < size:
        labels = labels.reshape([n for dim, n in enumerate(labels.shape) if dim not in over])
    return labels if len(call.out_shapes) == 1 else tuple(labels for _ in call.out_shapes)


_REDUCING = [
    "mean.dim", "sum.dim_IntList", "amax", "amin", "max.dim", "min.dim", "var.correction", "std.correction", "mean",
    "sum", "logsumexp", "prod.dim_int", "var.dim", "var_mean.correction", "std.dim",
    "median.dim", "nanmean",
]  # fmt: skip

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
    **rows(_REDUCING, OpRule("", Route.KEEPS, reduce)),
    **rows(["linalg_vector_norm", "norm.ScalarOpt_dim", "kthvalue", "quantile.scalar"], OpRule("", Route.KEEPS, norm)),
}

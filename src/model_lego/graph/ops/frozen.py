"""Operators that read across channels: the channels around them are kept whole, and the reason is said."""

from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.rule import Call, Carry, OpRule, Route, freeze_all, tied_along, without_channels

PRODUCT = "a product of two values mixes channels without a weight of its own"
COMPUTED_POSITIONS = "reads positions that are computed or lie across channels"


def softmax(call: Call) -> Tensor:
    """softmax: the last operator on the logits is passed through, one over channels inside freezes them."""
    labels: Tensor = call.args[0]
    dim = call.arg(1, "dim") % len(call.shape())
    axes = lab.carried(labels)
    if dim in axes and not call.is_output:
        if len(axes) > 1:  # over the branches of a grid: the same channels of all branches go together
            tied_along(call, labels, {dim})
        else:
            call.tracker.freeze(labels, "softmax reads across channels", call)
    return labels


def whole(reason: str) -> Carry:
    """Freeze every operand; the result has no channels that could be cut."""

    def carry(call: Call) -> Tensor | tuple[Tensor, ...]:
        freeze_all(call, reason)
        return without_channels(call)

    return carry


def made(call: Call) -> Tensor | tuple[Tensor, ...]:
    """Constants made in the forward pass carry no channels."""
    return without_channels(call)


def _frozen(names: list[str], reason: str) -> dict[object, OpRule]:
    return rows(names, OpRule("", Route.FREEZES, whole(reason), reason=reason))


_SOFTMAX = ["softmax.int", "log_softmax.int", "_softmax", "_log_softmax"]
_PRODUCTS = ["addmm", "baddbmm", "einsum", "dot", "mv", "outer"]
_BY_POSITION = [
    "sort", "topk", "argmax", "gather", "unfold", "scatter.src", "grid_sampler_2d",
    "cross", "cdist", "embedding", "tril", "triu", "bilinear", "_weight_norm", "vdot",
]  # fmt: skip
_MADE = [
    "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "arange", "arange.start", "arange.start_step",
    "empty.memory_format", "linspace", "scalar_tensor", "new_zeros", "new_ones", "new_full", "rand", "bernoulli",
    "meshgrid.indexing", "new_empty", "eye", "eye.m",
]  # fmt: skip
_LAST = "reads across channels; passed through as the last operator"

ROWS: dict[object, OpRule] = {
    **rows(_SOFTMAX, OpRule("", Route.FREEZES, softmax, normalises=True, reason=_LAST)),
    **_frozen(_PRODUCTS, PRODUCT),
    **_frozen(_BY_POSITION, COMPUTED_POSITIONS),
    **rows(_MADE, OpRule("", Route.MOVES, made)),
}

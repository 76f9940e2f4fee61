"""Operators that carry values from some positions to others, every channel alike: along the edges of a graph."""

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.ops.frozen import COMPUTED_POSITIONS, PRODUCT, whole
from model_lego.graph.rule import Call, OpRule, Route, tied_along


@torch.library.custom_op("model_lego::given", mutates_args=())
def given(x: Tensor, features: bool) -> Tensor:
    """Pass on what a network is given besides its weights and its images: features of nodes, or edges of a graph.

    In the exported graph this tells it from the tensors that stand for channels. The last dimension of `features`
    holds channels, as images do; edges hold none.
    """
    return x.clone()


@given.register_fake
def _(x: Tensor, features: bool) -> Tensor:
    return torch.empty_like(x)


#: The operator in the exported graph.
GIVEN = torch.ops.model_lego.given.default


def taken(call: Call) -> Tensor:
    """given: new channels, which cannot be cut, for features; none for edges."""
    if not call.args[1]:
        return lab.neutral(len(call.out))
    return lab.along(call.tracker.fresh(call.out[-1], "the features", call), len(call.out), len(call.out) - 1)


def selected(call: Call) -> Tensor | tuple[Tensor, ...]:
    """index_select: positions are read where nothing along them is a channel."""
    labels, dim, index = call.args[0], call.arg(1, "dim"), call.args[2]
    return _read(call, labels, dim % len(call.shape()), index)


def indexed(call: Call) -> Tensor | tuple[Tensor, ...]:
    """x[:, numbers]: the same, by one list of positions or one mask over them."""
    labels: Tensor = call.args[0]
    if call.parameter(0) is not None and len(call.shape()) > 1:  # a table: each of its rows is read
        labels = tied_along(call, labels, {0})
    lists = [(dim, index) for dim, index in enumerate(call.args[1]) if index is not None]
    if len(lists) == 1 and lists[0][1].dim() == 1:
        return _read(call, labels, *lists[0])
    return whole(COMPUTED_POSITIONS)(call)


def _read(call: Call, labels: Tensor, dim: int, index: Tensor) -> Tensor | tuple[Tensor, ...]:
    if labels.shape[dim] > 1:
        return whole(COMPUTED_POSITIONS)(call)
    call.tracker.freeze(index, "is read as numbers of positions", call)
    return labels


def summed(call: Call) -> Tensor | tuple[Tensor, ...]:
    """scatter_add and its kin: what lies at some positions is added to others; its width may be written in."""
    base: Tensor = call.args[0]
    index, source = call.args[2], call.args[3]
    dim = call.arg(1, "dim") % len(call.shape())
    carried = {*lab.carried(base), *lab.carried(source)}
    if dim in carried:
        return whole(COMPUTED_POSITIONS)(call)
    call.tracker.freeze(index, "is read as numbers of positions", call)
    call.tracker.suspect(source, call)
    left, right = torch.broadcast_tensors(base, source)
    call.tracker.couple(left, right, call)
    return base if lab.carried(base) else call.args[3]


def mixed(call: Call) -> Tensor | tuple[Tensor, ...]:
    """A matrix without channels times a value whose last dimension carries them: positions are mixed, as by edges.

    Only where the matrix is the same for all images.
    """
    left: Tensor = call.args[0]
    right: Tensor = call.args[1]
    matrix = call.node.all_input_nodes[0]
    constant = len(call.shape(0)) == 2 and not matrix.meta.get("by_batch", True)
    if constant and bool((left == lab.NONE).all()) and set(lab.carried(right)) <= {len(call.shape(1)) - 1}:
        return right
    return whole(PRODUCT)(call)


_SUMS = ["scatter_add", "scatter_add_", "index_add", "index_add_"]
_EXTREMES = ["scatter_reduce.two", "scatter_reduce_.two", "index_reduce", "index_reduce_"]

ROWS: dict[object, OpRule] = {
    GIVEN: OpRule("given", Route.MOVES, taken, weights=(0,)),
    **rows(["index_select"], OpRule("", Route.SPREADS, selected, reason=COMPUTED_POSITIONS)),
    **rows(["index.Tensor"], OpRule("", Route.SPREADS, indexed, reason=COMPUTED_POSITIONS)),
    **rows(_SUMS, OpRule("", Route.SPREADS, summed, reason=COMPUTED_POSITIONS)),
    **rows(_EXTREMES, OpRule("", Route.KEEPS, summed, reason=COMPUTED_POSITIONS)),
    **rows(["mm"], OpRule("", Route.SPREADS, mixed, reason=PRODUCT)),
}

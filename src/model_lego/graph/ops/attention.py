"""Attention: products of two values, over channels and over positions. Heads can be cut, and channels within them."""

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops import gathering
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.ops.frozen import PRODUCT, whole
from model_lego.graph.rule import Call, OpRule, Route, freeze_all

#: What happens to heads of which one side of a product has its own, and the other does not.
ONE_SIDED = "belongs to heads that the other side of a product does not have"


def product(call: Call) -> Tensor | tuple[Tensor, ...]:
    """Products: queries times keys, weights of positions times values; another product freezes both sides."""
    left, right, *_ = call.args
    if len(call.shape(0)) < 3 or len(call.shape(1)) < 3:
        return gathering.mixed(call)
    over, free = _carrying(call)
    if all(over) and not any(free):
        turned = right.transpose(-1, -2)
        if _heads_of(left).shape == _heads_of(turned).shape:
            call.tracker.multiplies(call, (0, 1))
            return scores(call, left, turned)
    elif not any(over) and free == (False, True):
        return weighted(call, left, right)
    elif not any(over) and free == (True, False):
        return weighted(call, right.transpose(-1, -2), left.transpose(-1, -2)).transpose(-1, -2)
    return _by_heads(call, left, right)


def _by_heads(call: Call, left: Tensor, right: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Products of channels by channels, over positions (XCiT, linear attention): a head goes with all of its channels.

    Both sides have to have as many heads; one alone is kept.
    """
    firsts = _heads_of(left), _heads_of(right)
    known = not any(bool((labels == lab.NONE).any()) for labels in (left, right))
    if firsts[0].shape != firsts[1].shape or not known:
        return whole(PRODUCT)(call)
    if firsts[0].numel() == 1:
        freeze_all(call, PRODUCT)
    heads = []
    for labels, first in zip((left, right), firsts, strict=True):
        call.tracker.couple(first.expand_as(labels), labels, call)
        heads.append(call.tracker.heads(labels.reshape(first.numel(), -1), call))
    call.tracker.couple(heads[0], heads[1], call)
    return firsts[1]


#: Which sides of a product have channels along the dimension that is summed, and along the other one.
Sides = tuple[tuple[bool, bool], tuple[bool, bool]]


def _carrying(call: Call) -> Sides:
    """On which sides channels are summed, and on which they are not; one channel alone is known by its dimension."""
    left, right, *_ = call.args
    over, free = (left.shape[-1] > 1, right.shape[-2] > 1), (left.shape[-2] > 1, right.shape[-1] > 1)
    if any((*over, *free)):
        return over, free
    held = [bool((labels != lab.NONE).any()) for labels in (left, right)]
    summed, (rows, columns) = call.shape(0)[-1], (call.shape(0)[-2], call.shape(1)[-1])
    if summed == 1:
        return (all(held), all(held)), free
    weighs = held[1] and columns == 1
    return over, (held[0] and rows == 1 and not weighs, weighs)


def attention(call: Call) -> Tensor | tuple[Tensor, ...]:
    """scaled_dot_product_attention: scores of queries and keys, and the values weighted by them."""
    queries, keys, values = call.args[:3]
    mask, scale = call.arg(3, "attn_mask"), call.arg(6, "scale")
    same = queries.shape == keys.shape and not call.arg(7, "enable_gqa", False)
    if not same or any(labels.shape[-2] > 1 for labels in (queries, keys, values)):
        return whole("attention mixes positions and channels")(call)
    call.tracker.multiplies(call, (0, 1))
    heads = scores(call, queries, keys)
    if scale is None and queries.shape[-1] > 1:
        call.tracker.scales(call, queries)
    if isinstance(mask, Tensor) and bool((mask != lab.NONE).any()):
        _tied(call, heads, mask)
    return weighted(call, heads, values)


def scores(call: Call, queries: Tensor, keys: Tensor) -> Tensor:
    """Labels of scores, which are those of heads: channels at equal positions of queries and keys go together."""
    call.tracker.couple(queries, keys, call)
    return _heads(call, queries)


def weighted(call: Call, weights: Tensor, values: Tensor) -> Tensor:
    """Labels of values (… x positions x channels) weighted by scores: what a head weighs goes with its scores."""
    _tied(call, weights, _heads(call, values))
    return values


def _heads_of(labels: Tensor) -> Tensor:
    """What of the labels of some channels is the same in each row of them."""
    return labels[..., :1, :1]


def _heads(call: Call, labels: Tensor) -> Tensor:
    """The heads of a value (… x heads x positions x channels)."""
    if bool((labels == lab.NONE).any()):
        if _heads_of(labels).numel() > 1:
            call.tracker.freeze(labels, ONE_SIDED, call)
        return lab.neutral(labels.dim())
    found = call.tracker.heads(labels.reshape(-1, labels.shape[-1]), call)
    return found.reshape(_heads_of(labels).shape)


def _tied(call: Call, one: Tensor, other: Tensor) -> None:
    """Heads at equal positions go together; of heads that meet none they are all kept."""
    if bool((one == lab.NONE).all()) and bool((other == lab.NONE).all()):
        return
    places = max(one.dim(), other.dim())
    one, other = (labels.reshape((1,) * (places - labels.dim()) + tuple(labels.shape)) for labels in (one, other))
    for labels, beside in ((one, other), (other, one)):
        if labels[..., :1, :1].numel() > 1 and beside[..., :1, :1].numel() == 1:
            call.tracker.freeze(labels, ONE_SIDED, call)
            return
    left, right = torch.broadcast_tensors(one, other)
    call.tracker.couple(left, right, call)


ROWS: dict[object, OpRule] = {
    **rows(["matmul", "bmm"], OpRule("", Route.SPREADS, product, reason=PRODUCT)),
    **rows(
        ["scaled_dot_product_attention"],
        OpRule(
            "", Route.JOINS, attention, reason="queries go with keys; a head is cut whole, or as narrow as the others"
        ),
    ),
}

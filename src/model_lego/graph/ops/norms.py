"""Normalisations: over batch and pixels they keep channels, over channels they take those that are kept."""

from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.rule import Call, OpRule, Route

ACROSS_CHANNELS = "{} normalises across channels"


def per_channel(call: Call) -> Tensor:
    """batch_norm and instance_norm: weight, bias and statistics stand for the channels of dimension 1."""
    labels: Tensor = call.args[0]
    return _bound(call, labels, dim=1, positions=(1, 2, 3, 4))


def group_norm(call: Call) -> Tensor:
    """group_norm: the channels of a group are kept or cut together, and the number of groups follows.

    One group of all channels is a norm over those that are kept.
    """
    labels: Tensor = call.args[0]
    groups = call.arg(1, "num_groups")
    channels = lab.vector(labels, call.shape(), 1)
    if channels is None or bool((channels == lab.NONE).any()):
        call.tracker.freeze(labels, ACROSS_CHANNELS.format("group_norm"), call)
    elif groups == 1:
        call.tracker.statistic(call, channels, 1, ACROSS_CHANNELS.format("group_norm"))
    else:
        together = channels.reshape(groups, -1)
        for others in together.unbind(1)[1:]:
            call.tracker.couple(together[:, 0], others, call)
        call.tracker.divides(call, channels, groups)
    return _bound(call, labels, dim=1, positions=(2, 3))


def layer_norm(call: Call) -> Tensor:
    """layer_norm and rms_norm: over the channels they are norms over those that are kept.

    Where they go over pixels too, each number has a weight of its own, and the channels are kept whole.
    """
    labels: Tensor = call.args[0]
    last = len(call.shape()) - 1
    first = last + 1 - len(call.args[1])
    if not any(dim >= first for dim in lab.carried(labels)):
        return labels
    name = str(call.rule.name if call.rule else "")
    channels = lab.vector(labels, call.shape(), last)
    if first < last or channels is None or bool((channels == lab.NONE).any()):
        call.tracker.freeze(labels, ACROSS_CHANNELS.format(name), call)
        return _bound(call, labels, dim=last, positions=(2, 3)) if first == last else labels
    call.tracker.statistic(call, channels, last, ACROSS_CHANNELS.format(name))
    call.tracker.divides(call, channels, len(channels))
    return _bound(call, labels, dim=last, positions=(2, 3))


def _bound(call: Call, labels: Tensor, *, dim: int, positions: tuple[int, ...]) -> Tensor:
    names = [name for name in map(call.parameter, positions) if name is not None]
    if any(call.parameter(place) is None and isinstance(call.arg(place, ""), Tensor) for place in positions):
        call.tracker.freeze(labels, "is normalised by numbers that are made in the forward pass", call)
    if bool((labels == lab.NONE).all()) or not names:
        return labels
    channels = lab.vector(labels, call.shape(), dim)
    if channels is None:
        call.tracker.freeze(labels, "is normalised along another axis than its channels", call)
        return labels
    for name in names:
        call.tracker.bind(name, 0, channels, call)
    return labels


ROWS: dict[object, OpRule] = {
    **rows(
        ["batch_norm", "instance_norm"],
        OpRule("", Route.KEEPS, per_channel, weights=(1, 2, 3, 4), follows={"num_features": "outputs"}),
    ),
    **rows(
        ["group_norm"],
        OpRule(
            "",
            Route.JOINS,
            group_norm,
            weights=(2, 3),
            follows={"num_channels": "outputs", "num_groups": "groups"},
            groups_at=1,
            reason="the channels of a group go together; one group of all is a norm over those that are kept",
        ),
    ),
    **rows(
        ["layer_norm", "rms_norm"],
        OpRule(
            "",
            Route.NORMALISES,
            layer_norm,
            weights=(2, 3),
            follows={"normalized_shape": "groups"},
            groups_at=1,
            reason="over the channels that are kept",
        ),
    ),
}

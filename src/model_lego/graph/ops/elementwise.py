"""Operators that work on each element alone, and those that combine equal positions of several values."""

from dataclasses import replace

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.rule import Call, OpRule, Route

aten = torch.ops.aten


def keep(call: Call) -> Tensor:
    """Pass the labels of the first argument on."""
    labels: Tensor = call.args[0]
    return labels


def join(call: Call) -> Tensor:
    """Tie the channels at equal positions of all tensor operands; an operand's shape tells whether it broadcasts."""
    operands = [
        (labels, shape)
        for labels, shape in zip(call.args, call.shapes, strict=False)
        if isinstance(labels, Tensor) and shape is not None
    ]
    out = call.out
    aligned = [_align(labels, shape, out) for labels, shape in operands]
    result = lab.neutral(len(out))
    for place, (labels, repeated) in enumerate(aligned):
        others = [other for number, (other, _) in enumerate(aligned) if number != place]
        if any(dim in repeated for other in others for dim in lab.carried(other)):
            call.tracker.freeze(labels, "is broadcast over other channels", call)
            continue
        if bool((labels == lab.NONE).all()):
            for other in others:  # a constant of as many positions has their number written into it
                if any(dim not in repeated for dim in lab.carried(other)):
                    call.tracker.suspect(other, call)
            continue
        if bool((result == lab.NONE).all()):
            result = labels
            continue
        left, right = torch.broadcast_tensors(result, labels)
        call.tracker.couple(left, right, call)
        result = min(result, labels, key=Tensor.numel)
    return result


def _align(labels: Tensor, shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[Tensor, set[int]]:
    """Labels with the result's number of dimensions, and the dimensions along which the operand is repeated."""
    missing = len(out) - len(shape)
    repeated = {dim for dim in range(missing) if out[dim] > 1}
    repeated |= {dim + missing for dim, size in enumerate(shape) if size == 1 and out[dim + missing] > 1}
    return labels.reshape((1,) * missing + tuple(labels.shape)), repeated


def prelu(call: Call) -> Tensor:
    """Tie the slopes of a per-channel PReLU to the channels; one slope for all goes with any."""
    labels: Tensor = call.args[0]
    name = call.parameter(1)
    if call.shape(1) != (1,) and name is not None:
        channels = lab.vector(labels, call.shape(), 1)
        if channels is None:
            call.tracker.freeze(labels, "PReLU over an axis that is not the channel axis", call)
        else:
            call.tracker.bind(name, 0, channels, call)
    return labels


_KEEPING = [
    "relu", "relu_", "relu6", "relu6_", "silu", "silu_", "gelu", "sigmoid", "sigmoid_", "tanh", "tanh_", "hardtanh",
    "hardtanh_", "hardswish", "hardswish_", "hardsigmoid", "hardsigmoid_", "leaky_relu", "leaky_relu_", "elu", "elu_",
    "celu", "selu", "selu_", "mish", "mish_", "softplus", "log_sigmoid", "dropout", "dropout_", "feature_dropout",
    "alpha_dropout", "clone", "contiguous", "alias", "detach", "detach_", "lift_fresh_copy", "neg", "abs", "sqrt",
    "rsqrt", "exp", "log", "square", "reciprocal", "clamp", "clamp_", "clamp_min", "threshold", "_to_copy", "erf",
    "softsign", "hardshrink", "softshrink", "sign", "floor", "round", "logit", "log1p", "expm1", "sin", "cos",
    "rrelu", "rrelu_",
]  # fmt: skip
_KEEPING_OVERLOADS = [
    "pow.Tensor_Scalar", "add.Scalar", "sub.Scalar", "mul.Scalar", "div.Scalar", "div.Scalar_mode", "rsub.Scalar",
    "remainder.Scalar", "fmod.Scalar", "floor_divide.Scalar", "to.dtype", "to.device", "to.dtype_layout", "to.other",
    "add_.Scalar", "mul_.Scalar", "type_as.default", "clamp_min.default",
    "_assert_tensor_metadata.default", "fill_.Scalar", "fill_.Tensor", "zero_.default",
    "eq.Scalar", "ne.Scalar", "gt.Scalar", "ge.Scalar", "lt.Scalar", "le.Scalar", "logical_not.default",
    "bitwise_not.default", "nan_to_num.default",
]  # fmt: skip
_JOINING = [
    "add.Tensor", "add_.Tensor", "sub.Tensor", "sub_.Tensor", "mul.Tensor", "mul_.Tensor", "div.Tensor", "div_.Tensor",
    "div.Tensor_mode", "floor_divide.default", "remainder.Tensor", "fmod.Tensor", "maximum.default", "minimum.default",
    "rsub.Tensor", "addcmul.default", "where.self", "pow.Tensor_Tensor",
    "lerp.Scalar", "lerp.Tensor", "masked_fill.Scalar", "masked_fill.Tensor", "masked_fill_.Scalar", "atan2.default",
    "eq.Tensor", "ne.Tensor", "gt.Tensor", "ge.Tensor", "lt.Tensor", "le.Tensor", "logical_and.default",
    "logical_or.default", "where.ScalarOther", "where.ScalarSelf",
]  # fmt: skip


def overload(name: str) -> torch._ops.OpOverload | None:
    """Find an ATen overload by name, "relu" or "add.Tensor"; None where this torch does not have it."""
    base, _, variant = name.partition(".")
    packet = getattr(aten, base, None)
    return getattr(packet, variant or "default", None) if packet is not None else None


def rows(names: list[str], rule: OpRule) -> dict[object, OpRule]:
    """The same row under several operators; each gets its own name."""
    table: dict[object, OpRule] = {}
    for name in names:
        operator = overload(name)
        if operator is not None:
            table[operator] = replace(rule, name=name)
    return table


ROWS: dict[object, OpRule] = {
    **rows(_KEEPING + _KEEPING_OVERLOADS, OpRule("", Route.KEEPS, keep)),
    **rows(_JOINING, OpRule("", Route.JOINS, join)),
    **rows(["prelu"], OpRule("", Route.KEEPS, prelu, weights=(1,), follows={"num_parameters": "outputs"})),
}

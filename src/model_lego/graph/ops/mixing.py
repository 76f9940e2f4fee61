"""Operators in which every output channel is a weighted sum over input channels: convolutions and linear layers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.ops.elementwise import rows
from model_lego.graph.rule import BIAS_AT, WEIGHT_AT, Call, Holds, OpRule, Route, Window, as_tuple, freeze_all, solid

#: What convolutions call their numbers of channels; the last one is that of fixed depthwise kernels (blur pools).
CONVOLUTION: dict[str, Holds] = {
    "in_channels": "inputs",
    "out_channels": "outputs",
    "groups": "groups",
    "channels": "outputs",
}

#: What linear layers call theirs; the last two are those of torch_geometric.
LINEAR: dict[str, Holds] = {
    "in_features": "inputs",
    "out_features": "outputs",
    "in_channels": "inputs",
    "out_channels": "outputs",
}

LIBRARY = torch.library.Library("model_lego", "FRAGMENT")
LIBRARY.define("times(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor")
LIBRARY.impl("times", lambda x, w, b=None: x @ w if b is None else x @ w + b, "CompositeImplicitAutograd")
#: A linear layer whose weight has its inputs along the first axis: x @ weight + bias.
times = torch.ops.model_lego.times.default


def mixed(call: Call) -> Tensor:
    """Labels through any operator that sums over channels with a weight; its window says where these lie."""
    window = call.window
    dim = window.channel_dim % len(call.shape())
    out_size, groups = call.out[dim], window.groups
    inputs = solid(call, call.args[0], call.shape(), dim)
    weight, bias = call.parameter(WEIGHT_AT), call.bias
    if inputs is None:
        return _beside_channels(call, dim)
    if weight is None:
        return _whole(call, dim, "its weight is computed in the forward pass")
    if bias is None and _has_bias(call):
        return _whole(call, dim, "its bias is computed in the forward pass")
    depthwise = groups > 1 and call.tracker.apart(weight, groups, inputs)
    if groups > 1 and window.transposed and not (depthwise and out_size == groups):
        return _whole(call, dim, "a grouped transposed convolution")
    if depthwise:
        outputs = inputs.repeat_interleave(out_size // groups)  # a channel stays what it is
        call.tracker.bind(weight, 0, outputs, call)
        call.tracker.divides(call, inputs, groups)
    else:
        outputs = _born(call, weight, inputs, out_size, window)
    if bias is not None:
        call.tracker.bind(bias, 0, outputs, call)
    call.tracker.mixes(call, inputs, outputs)
    return lab.along(outputs, len(call.out), dim)


def _has_bias(call: Call) -> bool:
    assert call.rule is not None  # this is its own
    return BIAS_AT in call.rule.weights and call.arg(BIAS_AT, "bias") is not None


def _born(call: Call, weight: str, inputs: Tensor, out_size: int, window: Window) -> Tensor:
    """New channels, made of the inputs of their group; every group has to keep as many."""
    groups = window.groups
    if groups > 1:
        call.tracker.balance(inputs.reshape(groups, -1), call, filled=True)
    call.tracker.bind(weight, window.input_axis, inputs, call, groups=groups)
    outputs = call.tracker.born(weight, window.output_axis, out_size, call)
    if groups > 1:
        call.tracker.balance(outputs.reshape(groups, -1), call, filled=True)
    return outputs


def _beside_channels(call: Call, in_dim: int) -> Tensor:
    """A layer over positions, as in an MLP-Mixer: it treats all channels alike, which stay what they are."""
    labels: Tensor = call.args[0]
    window = call.window
    own = not call.computes_weight and (call.bias is not None or not _has_bias(call))
    if labels.shape[in_dim] > 1 or not own or not window.at_a_point:
        return _along_channels(call, in_dim)
    call.tracker.alike(call, labels.reshape(-1))
    return labels


def _along_channels(call: Call, in_dim: int) -> Tensor:
    """A convolution that slides along the channels (ECA): as many as before, all of them kept."""
    reason = "reads an axis other than the channel axis"
    axes = lab.carried(call.args[0])
    slides = len(axes) == 1 and axes[0] != in_dim and call.out[axes[0]] == call.shape()[axes[0]]
    return _whole(call, axes[0] if slides else in_dim, reason)


def _whole(call: Call, dim: int, reason: str) -> Tensor:
    """Keep all channels around a layer that cannot be cut, those of a weight that depends on the images as well."""
    freeze_all(call, reason)
    if call.by_batch(dim):  # one convolution for the images of a batch side by side (CondConv)
        return lab.neutral(len(call.out))
    return lab.along(call.tracker.fresh(call.out[dim], reason, call), len(call.out), dim)


def _window(args: Sequence[Any], shapes: Sequence[Any], dims: int) -> Window:
    weight = shapes[1]
    stride, padding, dilation, groups = _defaults(args, [1, 0, 1, 1])
    kernel = tuple(weight[2:])
    dilation = as_tuple(dilation, dims)
    return Window(
        kernel=kernel,
        stride=as_tuple(stride, dims),
        padding=_padding(padding, kernel, dilation),
        dilation=dilation,
        groups=groups,
    )


def _transposed_window(args: Sequence[Any], shapes: Sequence[Any], dims: int) -> Window:
    weight = shapes[1]
    stride, padding, output_padding, groups, dilation = _defaults(args, [1, 0, 0, 1, 1])
    return Window(
        kernel=tuple(weight[2:]),
        stride=as_tuple(stride, dims),
        padding=tuple((p, p) for p in as_tuple(padding, dims)),
        dilation=as_tuple(dilation, dims),
        groups=groups,
        transposed=True,
        output_padding=as_tuple(output_padding, dims),
    )


def _defaults(args: Sequence[Any], defaults: Sequence[Any]) -> list[Any]:
    given = list(args[3:])
    return given + list(defaults[len(given) :])


def _padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Pairs (before, after); "same" puts the odd one after, as torch does."""
    if padding == "valid":
        return tuple((0, 0) for _ in kernel)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in as_tuple(padding, len(kernel)))


def _linear_window(args: Sequence[Any], shapes: Sequence[Any]) -> Window:
    return Window()


def _row(dims: int, window: Callable[[Sequence[Any], Sequence[Any], int], Window]) -> OpRule:
    """The row of a convolution, transposed or not, over some dimensions."""
    return OpRule(
        "",
        Route.MIXES,
        mixed,
        window=lambda args, shapes: window(args, shapes, dims),
        weights=(WEIGHT_AT, BIAS_AT),
        follows=CONVOLUTION,
        groups_at=6,
    )


def _times_window(args: Sequence[Any], shapes: Sequence[Any]) -> Window:
    return Window(transposed=True)


LINEAR_ROW = OpRule("", Route.MIXES, mixed, window=_linear_window, weights=(WEIGHT_AT, BIAS_AT), follows=LINEAR)

ROWS: dict[object, OpRule] = {
    **rows(["conv1d", "conv1d.padding"], _row(1, _window)),
    **rows(["conv2d", "conv2d.padding"], _row(2, _window)),
    **rows(["conv3d", "conv3d.padding"], _row(3, _window)),
    **rows(["conv_transpose1d"], _row(1, _transposed_window)),
    **rows(["conv_transpose2d.input"], _row(2, _transposed_window)),
    **rows(["conv_transpose3d.input"], _row(3, _transposed_window)),
    **rows(["linear"], LINEAR_ROW),
    times: replace(LINEAR_ROW, name="times", window=_times_window),
}

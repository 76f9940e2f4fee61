"""Slow, obviously right re-derivations of METHOD's equations, in float64 and plain loops; imports nothing of ours.

Conventions: images are `B x C x H x W`; weights are `O x I/g x kh x kw`; a contribution is `B x O x I/g`, where entry
`(b, o, j)` belongs to input channel `(o // (O/g)) * I/g + j`. All sums over samples are means, so that the absolute
`eps` of (4) and (7) does not depend on how many samples there were.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.support.masked_norms import Place, norms_over
from tests.support.masked_products import Operand, products_over

EPS = 1e-5
EQUAL = (
    1e-12  # relative: values that differ by rounding only are equal, else the edge rule would depend on the batch size
)

Pair = int | tuple[int, int]


def pair(value: Pair) -> tuple[int, int]:
    """Both numbers of a kernel size, stride, padding or dilation."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


# ---------------------------------------------------------------------------------------------- contributions, (1)-(3)


def contributions_conv(
    x: Tensor, weight: Tensor, *, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, groups: int = 1
) -> Tensor:
    """(1), (3) before relu, as in a textbook: one convolution for each pair of channels. Gives B x O x I/g."""
    x, weight = x.double(), weight.double()
    out_channels, width = weight.shape[:2]
    s = torch.zeros(len(x), out_channels, width, dtype=torch.float64)
    for o, j in itertools.product(range(out_channels), range(width)):
        i = o // (out_channels // groups) * width + j
        kernel = weight[o : o + 1, j : j + 1]
        hidden = F.conv2d(x[:, i : i + 1], kernel, stride=stride, padding=padding, dilation=dilation)
        s[:, o, j] = hidden[:, 0].sum(dim=(1, 2))
    return s


def hidden_maps(
    x: Tensor, weight: Tensor, *, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, groups: int = 1
) -> Tensor:
    """(1), all at once through unfold: B x O x I/g x H x W."""
    x, weight = x.double(), weight.double()
    out_channels, width, kh, kw = weight.shape
    columns = F.unfold(x, (kh, kw), dilation=dilation, padding=padding, stride=stride)
    columns = columns.view(len(x), groups, width, kh * kw, -1)
    kernels = weight.view(groups, out_channels // groups, width, kh * kw)
    maps = torch.einsum("bgjkp,gojk->bgojp", columns, kernels)
    height, wide = output_size(x.shape[-2:], (kh, kw), stride=stride, padding=padding, dilation=dilation)
    return maps.reshape(len(x), out_channels, width, height, wide)


def contributions_linear(x: Tensor, weight: Tensor) -> Tensor:
    """(1), (3) of a linear layer, before relu: B x O x I. Dimensions of x between the first and last are summed."""
    x, weight = x.double(), weight.double()
    s = torch.zeros(len(x), *weight.shape, dtype=torch.float64)
    for b, sample in enumerate(x):
        for row in sample.reshape(-1, x.shape[-1]):
            for o, w in enumerate(weight):
                s[b, o] += w * row
    return s


def contributions_one_by_one(layer: nn.Module, x: Tensor) -> Tensor:
    """(1), (3) before relu, as they are said: the layer reads one channel alone, the others are zero. B x O x I.

    For any layer that is linear in what it reads but for its bias: convolutions of all kinds and paddings, transposed
    ones, linear layers. An output of another group gets nothing.
    """
    layer, x = copy.deepcopy(layer).double(), x.double()
    layer.bias = None
    linear = isinstance(layer, nn.Linear)
    added = []
    with torch.no_grad():
        for channel in range(x.shape[-1] if linear else x.shape[1]):
            alone = torch.zeros_like(x)
            place = (..., channel) if linear else (slice(None), channel)
            alone[place] = x[place]
            y = layer(alone).movedim(-1, 1) if linear else layer(alone)
            added.append(y.reshape(*y.shape[:2], -1).sum(2))
    return torch.stack(added, 2)


def mean_contribution(s: Tensor) -> Tensor:
    """The second half of (3): s+ is taken in each sample, then averaged over the samples: B x O x I -> O x I."""
    return s.clamp(min=0).mean(dim=0)


# ----------------------------------------------------------------------------------------- from soft to hard, (4)-(8)


def normalised(values: Tensor) -> Tensor:
    """(4) of one row, and (7): (v - min) / (max - min + eps)."""
    return (values - values.min()) / (values.max() - values.min() + EPS)


def hard(values: Tensor, threshold: float, soft: Tensor) -> Tensor:
    """(4) and (5) of one row, or (7) and (8), with the edges: equal and positive keeps all, zero keeps the softest."""
    keep = torch.zeros(len(values), dtype=torch.bool)
    highest, lowest = float(values.max()), float(values.min())
    if highest == 0:
        keep[int(np.argmax(soft.numpy()))] = True  # the first of the largest; the first of all where soft is zero too
    elif highest - lowest <= EQUAL * highest:
        keep[:] = True
    else:
        keep = normalised(values) >= threshold
    return keep


def hard_aggregation(s: Tensor, alpha: float) -> Tensor:
    """(4), (5): mean s+ of O x I -> bool O x I; a row of zeros keeps the channel that is largest in all rows summed."""
    return torch.stack([hard(row, alpha, s.sum(dim=0)) for row in s.double()])


def hard_allocation(chosen: Tensor, relevant: Tensor, beta: float, *, soft: Tensor | None = None) -> Tensor:
    """(6)-(8): R of bool O x I, relevant of bool O -> bool I; where all t are zero, soft (of I) decides."""
    t = torch.zeros(chosen.shape[1], dtype=torch.float64)
    for q, p in itertools.product(range(chosen.shape[0]), range(chosen.shape[1])):
        if relevant[q] and chosen[q, p]:
            t[p] += 1
    return hard(t, beta, torch.zeros_like(t) if soft is None else soft)


def kept_inputs(s: Tensor, relevant: Sequence[int], *, alpha: float, beta: float) -> set[int]:
    """(3)-(8) of one layer for one class: s of B x O x I before relu, relevant output channels -> input channels."""
    rows = mean_contribution(s)[sorted(relevant)]  # rows that are not relevant must not sway the edge rule
    everything = torch.ones(len(rows), dtype=torch.bool)
    keep = hard_allocation(hard_aggregation(rows, alpha), everything, beta, soft=rows.sum(dim=0))
    return set(torch.nonzero(keep).flatten().tolist())


# --------------------------------------------------------------------------------------- the whole walk, one class


def walk_plain(
    model: nn.Sequential,
    images: Tensor,
    label_class: int,
    *,
    alpha_conv: float = 0.3,
    beta_conv: float = 0.2,
    alpha_linear: float = 0.4,
    beta_linear: float = 0.3,
) -> dict[str, set[int]]:
    """(1)-(8) backwards through a plain network, on images of one class: kept inputs of each Conv2d and Linear.

    Numbers are the layer's own input indices: a linear layer behind a flatten keeps all h*w features of a channel of
    which any feature is kept. The first layer is treated as the others, though an image's channels are never cut.
    """
    inputs, x = {}, images.double()
    for name, layer in model.named_children():
        inputs[name] = x
        x = plain_step(layer, x)
    keep, relevant = {}, {label_class}
    for name, layer in reversed(list(model.named_children())):
        x = inputs[name]
        if type(layer) is nn.Linear:
            s = contributions_linear(x, layer.weight.detach())
            keep[name] = relevant = kept_inputs(s, sorted(relevant), alpha=alpha_linear, beta=beta_linear)
        elif type(layer) is nn.Conv2d:
            geometry = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
            s = contributions_conv(x, layer.weight.detach(), **geometry)
            keep[name] = relevant = kept_inputs(s, sorted(relevant), alpha=alpha_conv, beta=beta_conv)
        elif type(layer) is nn.Flatten:
            size = x.shape[2] * x.shape[3]
            reader = list(keep)[-1]
            relevant = {feature // size for feature in relevant}
            keep[reader] = {channel * size + k for channel in relevant for k in range(size)}
    return keep


def plain_step(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer of a plain network gives in eval mode; only kinds that keep their channels apart or mix all."""
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear, nn.Dropout)
    if type(layer) not in kinds or getattr(layer, "groups", 1) != 1:
        raise ValueError(f"walk_plain knows no {layer}")
    if layer.training:
        raise ValueError("walk_plain needs the model in eval mode")
    with torch.no_grad():
        return layer(x)


# ------------------------------------------------------------------------------------------------------------ masking


@dataclass(frozen=True)
class Rows:
    """The first axis of a tensor by which a forward multiplies (`x @ self.weight`): it reads channels of x."""

    tensor: str


#: What of a network is kept: input channels of a module by its name, those over which one normalises, what of an
#: operand of a product is not zero, or rows of a tensor.
Kept = Mapping[str | Place | Operand | Rows, Any]


@contextmanager
def masked(model: nn.Module, kept: Kept) -> Iterator[nn.Module]:
    """Within the context, the inputs of the named modules have their dropped channels zeroed; hooks always go.

    Norms over channels, named by module and number of channels, normalise over the kept ones; operands of products are
    zero but where they are kept.
    """
    with ExitStack() as hooks:
        hooks.enter_context(statistics_and_products(model, kept))
        for name in (at for at in kept if isinstance(at, str)):
            hooks.callback(model.get_submodule(name).register_forward_pre_hook(zero_all_but(kept[name])).remove)
        yield model


@contextmanager
def statistics_and_products(model: nn.Module, kept: Kept) -> Iterator[None]:
    """Within the context, norms and products are over what is kept; what modules read stays what it is."""
    with ExitStack() as stack:
        stack.enter_context(norms_over(model, {at: one for at, one in kept.items() if isinstance(at, tuple)}))
        stack.enter_context(products_over(model, {at: one for at, one in kept.items() if isinstance(at, Operand)}))
        for rows in (at for at in kept if isinstance(at, Rows)):
            tensor = model.get_parameter(rows.tensor)
            stack.callback(setattr, tensor, "data", tensor.data)
            tensor.data = torch.zeros_like(tensor.data).index_copy(0, torch.tensor(kept[rows]), tensor.data[kept[rows]])
        yield


def zero_all_but(channels: Sequence[int]):
    """A forward pre-hook: zeroes the other channels, of the last dimension for a linear layer, else of dimension 1."""

    def hook(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *others = arguments
        dim = x.dim() - 1 if isinstance(module, nn.Linear) else 1
        keep = torch.zeros(x.shape[dim], dtype=torch.bool)
        keep[sorted(channels)] = True
        shape = [1] * x.dim()
        shape[dim] = -1
        return (torch.where(keep.view(shape), x, torch.zeros_like(x)), *others)

    return hook


def masked_forward(model: nn.Module, x: Tensor, kept: Kept) -> Tensor:
    """The source's output with the dropped input channels of the named convolutions and linear layers zeroed."""
    with masked(model, kept), torch.no_grad():
        return model(x)


# ------------------------------------------------------------------------------------------------- repair and counting


def ridge_refit(x: Tensor, y: Tensor, weight_cut: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """min |y - x w' - c|^2 + lam * mean diag(xc'xc) * |w - weight_cut|^2 over w of O x I and c of O; c is free.

    x is N x I, y is N x O; xc is x without its mean. Solved as one least-squares problem with the penalty as rows.
    """
    rows, targets, start = (np.asarray(t.double()) for t in (x, y, weight_cut))
    features = rows.shape[1]
    penalty = lam * np.mean(np.sum((rows - rows.mean(axis=0)) ** 2, axis=0))
    upper = np.hstack([rows, np.ones((len(rows), 1))])
    lower = np.hstack([np.sqrt(penalty) * np.eye(features), np.zeros((features, 1))])
    solved, *_ = np.linalg.lstsq(
        np.vstack([upper, lower]), np.vstack([targets, np.sqrt(penalty) * start.T]), rcond=None
    )
    return torch.from_numpy(solved[:-1].T.copy()), torch.from_numpy(solved[-1].copy())


def conv_patches(x: Tensor, kernel_size: Pair, *, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1) -> Tensor:
    """What each output position reads, B x H*W x C*kh*kw, columns in the order of a flattened kernel; by loops."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = pair(kernel_size), pair(stride), pair(padding), pair(dilation)
    height, width = output_size(x.shape[-2:], kernel_size, stride=stride, padding=padding, dilation=dilation)
    patches = torch.zeros(len(x), height * width, x.shape[1], kh, kw, dtype=torch.float64)
    for row, column, k, m in itertools.product(range(height), range(width), range(kh), range(kw)):
        i, j = row * sh + k * dh - ph, column * sw + m * dw - pw
        if 0 <= i < x.shape[2] and 0 <= j < x.shape[3]:
            patches[:, row * width + column, :, k, m] = x[:, :, i, j].double()
    return patches.flatten(2)


def output_size(size: Sequence[int], kernel_size: Pair, *, stride: Pair, padding: Pair, dilation: Pair) -> list[int]:
    """Height and width of a convolution's output."""
    geometry = zip(size, pair(kernel_size), pair(stride), pair(padding), pair(dilation), strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in geometry]


def batchnorm_eval(x: Tensor, *, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, channel by channel."""
    y = torch.zeros(x.shape, dtype=torch.float64)
    for c in range(x.shape[1]):
        y[:, c] = (x[:, c].double() - float(mean[c])) / (float(var[c]) + eps) ** 0.5 * float(weight[c]) + float(bias[c])
    return y


def macs_conv(weight_shape: Sequence[int], size: Sequence[int]) -> int:
    """Multiply-adds an image of a convolution with weight O x I/g x kh x kw and output H x W; bias not counted."""
    out_channels, width, kh, kw = weight_shape
    height, wide = size
    return out_channels * width * kh * kw * height * wide


def macs_linear(weight_shape: Sequence[int], rows: int = 1) -> int:
    """Multiply-adds a sample of a linear layer with weight O x I applied to rows vectors; bias not counted."""
    return weight_shape[0] * weight_shape[1] * rows

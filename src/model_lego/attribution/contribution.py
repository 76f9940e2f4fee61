"""Equations (1)-(3): how much each input channel of a layer adds to each of its output channels.

The spatial sum commutes with the kernel sum, so that no hidden map is ever built:

    s[b,o,i] = sum_k W[o,i,k] * X[b,i,k],   X[b,i,k] = sum over output positions of the input under tap k
"""

import math
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from model_lego.graph.rule import Window

#: Maps of at most so many pixels go through one matrix instead of one for each dimension.
FEW_PIXELS = 256


def tap_matrix(window: Window, dim: int, length: int) -> Tensor:
    """Which input positions each tap reads along one spatial dimension: taps x length, entries 0 or 1."""
    kernel, stride = window.kernel[dim], window.stride[dim]
    dilation, (before, after) = window.dilation[dim], window.padding[dim]
    taps = torch.arange(kernel)[:, None] * dilation
    if window.transposed:
        reach = (length - 1) * stride - before - after + dilation * (kernel - 1) + window.output_padding[dim] + 1
        written = torch.arange(length)[None, :] * stride - before + taps
        return ((written >= 0) & (written < reach)).double()
    outputs = (length + before + after - dilation * (kernel - 1) - 1) // stride + 1
    read = torch.arange(outputs)[None, :] * stride + taps - before
    matrix = torch.zeros(kernel, length + 1, dtype=torch.float64)
    outside = (read < 0) | (read >= length)
    matrix.scatter_(1, read.masked_fill(outside, length), 1.0)
    return matrix[:, :length]


def tap_matrices(window: Window, spatial: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Matrices that take maps of this size to the sums under the taps, each for one or several dimensions."""
    each = tuple(tap_matrix(window, dim, length) for dim, length in enumerate(spatial))
    joint = math.prod(spatial) <= FEW_PIXELS or math.prod(window.kernel) == 1
    return (joined(each),) if joint else each


def joined(matrices: tuple[Tensor, ...]) -> Tensor:
    """One matrix for all dimensions: taps x pixels, both row-major."""
    return reduce(torch.kron, matrices)


def tap_sums(x: Tensor, matrices: tuple[Tensor, ...]) -> Tensor:
    """Sum of the input under each tap, over the output positions: batch x in_channels x taps (row-major).

    Separable, the first dimension first: each pixel is read once, in the order in which it lies in memory.
    """
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return _innermost_sums(x, matrices)
    batch, channels = x.shape[:2]
    *earlier, last = matrices
    rest = x[0, 0].numel()  # numbers of a map that are read by the matrices still to come
    for matrix in earlier:
        rest //= matrix.shape[1]
        x = torch.matmul(matrix.to(x), x.reshape(-1, matrix.shape[1], rest))
    x = x.reshape(-1, rest)
    return (x.sum(1) if _whole(last) else x @ last.to(x).T).reshape(batch, channels, -1)


def _innermost_sums(x: Tensor, matrices: tuple[Tensor, ...]) -> Tensor:
    """The same for a channels-last tensor."""
    batch, channels = x.shape[:2]
    x = x.permute(0, 2, 3, 1)
    if len(matrices) == 1 and _whole(matrices[0]):
        return x.flatten(1, 2).sum(1)[:, :, None]
    rows = batch
    for matrix in matrices:
        x = torch.matmul(matrix.to(x), x.reshape(rows, matrix.shape[1], -1))
        rows *= len(matrix)
    return x.reshape(batch, -1, channels).transpose(1, 2)


def _whole(matrix: Tensor) -> bool:
    """Whether there is one tap, under which every pixel comes."""
    return len(matrix) == 1 and bool((matrix == 1).all())


def weight_by_input(weight: Tensor, window: Window) -> Tensor:
    """Weights as in_channels x taps x out_channels/groups, whatever the operator's own layout."""
    return window.by_output(weight).permute(0, 2, 3, 1).flatten(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class TapForm:
    """A layer made ready for maps of one size: what its weights are multiplied with, and the weights for that.

    `weight` is in_channels x terms x out_channels/groups. The terms are the sums under those taps that read more than
    padding (`matrices` gives the sums, `taps` says which), or the pixels themselves where there are fewer.
    """

    weight: Tensor
    matrices: tuple[Tensor, ...] = ()
    taps: Tensor | None = None

    def terms(self, x: Tensor) -> Tensor:
        """What the weights are multiplied with: batch x in_channels x terms."""
        if not self.matrices:
            return x.flatten(2)
        sums = tap_sums(x, self.matrices)
        return sums if self.taps is None else sums[..., self.taps.to(sums.device)]


@dataclass(frozen=True, slots=True, eq=False)
class LinearForm:
    """The same for a matrix, which reads features at any number of positions."""

    weight: Tensor

    def terms(self, x: Tensor) -> Tensor:
        """Features summed over the positions: batch x in_features x 1."""
        return x.reshape(x.shape[0], -1, x.shape[-1]).sum(1)[..., None]


def form_of(weight: Tensor, window: Window, spatial: tuple[int, ...]) -> TapForm | LinearForm:
    """Choose the cheapest exact form for a layer that reads maps of size `spatial`."""
    by_input = weight_by_input(weight, window)
    if window.linear:
        return LinearForm(by_input)
    matrices = tap_matrices(window, spatial)
    counts = joined(matrices)
    used = (counts.sum(1) > 0).nonzero().reshape(-1)
    taps, pixels = counts.shape
    if pixels < len(used):
        return TapForm(torch.einsum("iko,kp->ipo", by_input, counts.to(by_input)).contiguous())
    if len(used) == taps:
        return TapForm(by_input.contiguous(), matrices)
    return TapForm(by_input[:, used.to(by_input.device)].contiguous(), matrices, used)


def contributions(x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """Equation (3) before the relu: batch x in_channels x out_channels/groups, for tests and single images."""
    form = form_of(weight, window, tuple(x.shape[2:]))
    return torch.einsum("bik,iko->bio", form.terms(x), form.weight.to(x))

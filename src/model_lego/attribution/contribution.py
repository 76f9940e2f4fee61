"""Equations (1)-(3): how much each input channel of a layer adds to each of its output channels.

The spatial sum commutes with the kernel sum, so that no hidden map is ever built:

    s[b,o,i] = sum_k W[o,i,k] * X[b,i,k],   X[b,i,k] = sum over output positions of the input under tap k
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.graph.rule import Window


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


def tap_sums(x: Tensor, window: Window) -> Tensor:
    """Sum of the input under each tap, over the output positions: batch x in_channels x taps (row-major).

    Separable: one spatial dimension after the other, the last one first, so that each pixel is read once.
    """
    dims = len(window.kernel)
    if dims == 0:
        return x.reshape(x.shape[0], -1, x.shape[-1]).sum(1)[..., None]
    batch, channels, *spatial = x.shape
    x = x.reshape(-1, *spatial, 1)  # rows x spatial … x taps so far
    for dim in reversed(range(dims)):
        matrix = tap_matrix(window, dim, spatial[dim]).to(x)
        x = torch.matmul(matrix, x)  # … x taps of this dimension x taps so far
        x = x.flatten(-2).reshape(*x.shape[:-2], -1)
    return x.reshape(batch, channels, -1)


def weight_by_input(weight: Tensor, window: Window) -> Tensor:
    """Weights as in_channels x taps x out_channels/groups, whatever the operator's own layout."""
    if window.transposed:  # in_channels x out_channels/groups x kernel
        return weight.flatten(2).transpose(1, 2)
    blocks = weight.reshape(weight.shape[0], weight.shape[1], -1).chunk(window.groups, 0)
    return torch.cat([block.permute(1, 2, 0) for block in blocks])


def contributions(x: Tensor, weight: Tensor, window: Window) -> Tensor:
    """Equation (3) before the relu: batch x in_channels x out_channels/groups, for tests and single images."""
    sums = tap_sums(x, window)
    return torch.einsum("bik,iko->bio", sums, weight_by_input(weight, window).to(sums))


@dataclass(frozen=True, slots=True, eq=False)
class TapForm:
    """A layer's weights made ready: taps that read only padding left out, pixels instead of taps where fewer.

    `weight` is in_channels x terms x out_channels/groups; `terms` maps pixels (or taps) to those terms.
    """

    weight: Tensor
    window: Window
    used: Tensor | None  # numbers of the taps that read anything; None where pixels are contracted
    pixels: Tensor | None

    def terms(self, x: Tensor) -> Tensor:
        """What the weights are multiplied with: batch x in_channels x terms."""
        if self.used is None:
            return x.flatten(2)
        sums = tap_sums(x, self.window)
        return sums if len(self.used) == sums.shape[2] else sums[..., self.used.to(sums.device)]


def tap_form(weight: Tensor, window: Window, spatial: tuple[int, ...]) -> TapForm:
    """Choose the cheapest exact form for a layer that reads maps of size `spatial`."""
    by_input = weight_by_input(weight, window)
    counts = torch.ones(1, 1, dtype=torch.float64)
    for dim, length in enumerate(spatial):
        counts = torch.kron(counts, tap_matrix(window, dim, length))  # taps x pixels
    used = (counts.sum(1) > 0).nonzero().reshape(-1)
    pixels = counts.shape[1]
    if len(window.kernel) and pixels < len(used):
        contracted = torch.einsum("iko,kp->ipo", by_input.double(), counts.to(by_input.device))
        return TapForm(contracted.to(by_input.dtype).contiguous(), window, None, counts)
    return TapForm(by_input[:, used.to(by_input.device)].contiguous(), window, used, None)

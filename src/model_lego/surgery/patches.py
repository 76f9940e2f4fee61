"""What a layer reads and gives, as rows of a regression: one row an image and output position."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.graph.rule import Window


def output_rows(y: Tensor, window: Window, places: Tensor) -> Tensor:
    """Outputs at the chosen places: groups x rows x out_channels/groups."""
    flat = y.flatten(2).transpose(1, 2).reshape(-1, y.shape[1]) if window.kernel else y.reshape(-1, y.shape[-1])
    rows = flat[places]
    return rows.reshape(len(rows), window.groups, -1).transpose(0, 1)


def input_rows(x: Tensor, window: Window, places: Tensor) -> Tensor:
    """Inputs under the kernel at the chosen places: groups x rows x (in_channels/groups * taps)."""
    if not window.kernel:
        return x.reshape(-1, x.shape[-1])[places][None]
    amounts = [amount for pair in reversed(window.padding) for amount in pair]
    x = F.pad(x, amounts) if any(amounts) else x
    for dim, (kernel, stride, dilation) in enumerate(zip(window.kernel, window.stride, window.dilation, strict=True)):
        x = x.unfold(2 + dim, (kernel - 1) * dilation + 1, stride)[..., ::dilation]
    # batch x channels x positions … x taps …: a view; only the chosen places are copied
    dims = len(window.kernel)
    shape = x.shape[2 : 2 + dims]
    index = torch.unravel_index(places, (x.shape[0], *shape))
    rows = x.permute(0, *range(2, 2 + dims), 1, *range(2 + dims, 2 + 2 * dims))[index]
    return rows.reshape(len(places), window.groups, -1).transpose(0, 1)


def row_count(y: Tensor, window: Window) -> int:
    """How many rows a value gives: images x output positions."""
    return y.numel() // (y.shape[1] if window.kernel else y.shape[-1])

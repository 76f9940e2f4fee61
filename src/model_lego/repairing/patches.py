"""What a layer reads and gives, as rows of a regression: one row an image and output position."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.graph.rule import Window


def output_rows(y: Tensor, window: Window, places: Tensor, kept: Tensor) -> Tensor:
    """Outputs of the channels in `kept` at the chosen places: groups x rows x kept/groups."""
    rows = chosen(y.movedim(1, -1) if window.kernel else y, places, y.dim() - 1).index_select(1, kept)
    return rows.reshape(len(rows), window.groups, -1).transpose(0, 1)


def input_rows(x: Tensor, window: Window, places: Tensor) -> Tensor:
    """Inputs under the kernel at the chosen places: groups x rows x (taps * in_channels/groups)."""
    amounts = [amount for pair in reversed(window.padding) for amount in pair]
    x = F.pad(x, amounts) if any(amounts) else x
    for dim, (kernel, stride, dilation) in enumerate(zip(window.kernel, window.stride, window.dilation, strict=True)):
        x = x.unfold(2 + dim, (kernel - 1) * dilation + 1, stride)[..., ::dilation]
    # batch x channels x positions … x taps …, or … x features: a view; only the chosen places are copied
    taps = len(window.kernel)
    channels = x.shape[1 if taps else -1]
    rows = chosen(x.movedim(1, -1) if taps else x, places, x.dim() - 1 - taps)
    rows = rows.reshape(len(rows), -1, window.groups, channels // window.groups)
    return rows.permute(2, 0, 1, 3).reshape(window.groups, len(rows), -1)


def chosen(values: Tensor, places: Tensor, dims: int) -> Tensor:
    """The values at these places of the first so many dimensions, counted through; channels come last."""
    return values[torch.unravel_index(places, values.shape[:dims])]


def row_count(y: Tensor, window: Window) -> int:
    """How many rows a value gives: images x output positions."""
    return y.numel() // (y.shape[1] if window.kernel else y.shape[-1])

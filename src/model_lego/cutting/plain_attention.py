"""Attention as torch's `MultiheadAttention` gives it, of plain layers whose widths may differ from what is read.

torch's own takes the widths of heads from the width of the stream, so that neither can be cut without the other.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PlainAttention(nn.Module):
    """Called as torch's module, without biases of keys or added zeros; a batch has a dimension of its own."""

    #: torch's transformer layers ask for these, and go past the module's forward unless they are so.
    in_proj_weight = in_proj_bias = bias_k = bias_v = None
    _qkv_same_embed_dim = True

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        kdim: int,
        vdim: int,
        bias: bool = True,
        dropout: float = 0.0,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.num_heads, self.dropout, self.batch_first = num_heads, dropout, batch_first
        self.scale = (embed_dim // num_heads) ** -0.5
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias)
        self.k_proj, self.v_proj = nn.Linear(kdim, embed_dim, bias), nn.Linear(vdim, embed_dim, bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Give the output, and the weights of positions where they are asked for; `is_causal` comes with its mask."""
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._split(self.q_proj(query)), self._split(self.k_proj(key)), self._split(self.v_proj(value))
        mask, dropout = self._mask(attn_mask, key_padding_mask, q), self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = (q * self.scale) @ k.transpose(-2, -1)
            weights = F.dropout((scores if mask is None else scores + mask).softmax(-1), dropout)
            x = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            x = F.scaled_dot_product_attention(q, k, v, mask, dropout, scale=self.scale)
        x = self.out_proj(x.transpose(1, 2).flatten(2))
        return (x if self.batch_first else x.transpose(0, 1)), weights

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.num_heads, -1).transpose(1, 2)

    def _mask(self, mask: Tensor | None, padding: Tensor | None, like: Tensor) -> Tensor | None:
        """What is added to the scores; of bools, those that are true stand for what is not read."""
        if mask is not None:
            mask = _added(mask, like)
            mask = mask.view(-1, self.num_heads, *mask.shape[1:]) if mask.dim() == 3 else mask
        if padding is None:
            return mask
        padding = _added(padding, like)[:, None, None]
        return padding if mask is None else mask + padding


def _added(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype is not torch.bool:
        return mask.to(like)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))


def arguments_of(module: nn.MultiheadAttention) -> dict[str, int | float | bool] | None:
    """With what its like is built; None where it does more than that."""
    if module.bias_k is not None or module.bias_v is not None or module.add_zero_attn:
        return None
    names = ("embed_dim", "num_heads", "kdim", "vdim", "dropout", "batch_first")
    return {name: getattr(module, name) for name in names} | {"bias": module.in_proj_bias is not None}


def with_weights_of(module: nn.MultiheadAttention, plain: nn.Module) -> nn.Module:
    """Give it the weights of torch's module."""
    assert isinstance(plain, PlainAttention)  # it was built with its arguments
    whole = module.in_proj_weight
    weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight) if whole is None else whole.chunk(3)
    layers = (plain.q_proj, plain.k_proj, plain.v_proj)
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight = nn.Parameter(weight.detach().clone())
    if module.in_proj_bias is not None:
        for layer, bias in zip(layers, module.in_proj_bias.chunk(3), strict=True):
            layer.bias = nn.Parameter(bias.detach().clone())
    for name, parameter in module.out_proj.named_parameters():
        setattr(plain.out_proj, name, nn.Parameter(parameter.detach().clone()))
    return plain.train(module.training)

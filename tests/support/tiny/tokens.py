"""Networks of tokens: attention in the ways in which people write it."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.tiny.plain import CLASSES

TOKENS, WIDTH = 9, 10


class Apart(nn.Module):
    """Queries, keys and values from three layers, with a fused kernel whose scale follows the width of the queries."""

    def __init__(self, heads: int = 3, head_dim: int = 4) -> None:
        super().__init__()
        self.num_heads, self.head_dim = heads, head_dim
        inner = heads * head_dim
        self.q, self.k, self.v = (nn.Linear(WIDTH, inner, bias=bias) for bias in (True, False, True))
        self.proj = nn.Linear(inner, WIDTH)

    def split(self, x):
        return x.view(x.size(0), -1, self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, x):
        x = F.scaled_dot_product_attention(*map(self.split, (self.q(x), self.k(x), self.v(x))))
        return self.proj(x.transpose(1, 2).flatten(2))


class Fused(nn.Module):
    """One layer for all three, softmax by hand, and a table of relative positions with a column a head.

    The sizes of what is read from the table are held in a tuple.
    """

    def __init__(self, heads: int = 3, head_dim: int = 4) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.attn_dim = heads, head_dim, heads * head_dim
        self.scale, self.bias_shape = head_dim**-0.5, (TOKENS, TOKENS, heads)
        self.qkv = nn.Linear(WIDTH, 3 * self.attn_dim)
        self.table = nn.Parameter(torch.randn(2 * TOKENS - 1, heads))
        places = torch.arange(TOKENS)
        self.register_buffer("index", places[:, None] - places + TOKENS - 1)
        self.proj = nn.Linear(self.attn_dim, WIDTH)

    def forward(self, x):
        qkv = self.qkv(x).reshape(x.size(0), TOKENS, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        bias = self.table[self.index.view(-1)].view(self.bias_shape).permute(2, 0, 1)
        weights = ((q * self.scale) @ k.transpose(-2, -1) + bias).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(x.size(0), TOKENS, self.attn_dim))


class OwnWidths(nn.Module):
    """Narrow keys and wide values, taken apart by their own widths; a gain for each head."""

    def __init__(self, heads: int = 2, key_dim: int = 4, val_dim: int = 6) -> None:
        super().__init__()
        self.num_heads, self.key_dim, self.val_dim = heads, key_dim, val_dim
        self.q, self.k, self.v = (nn.Linear(WIDTH, heads * width) for width in (key_dim, key_dim, val_dim))
        self.gain = nn.Parameter(torch.rand(heads, 1, 1) + 0.5)
        self.proj = nn.Linear(heads * val_dim, WIDTH)

    def forward(self, x):
        q = self.q(x).transpose(1, 2).view(x.size(0), self.num_heads, self.key_dim, -1).transpose(2, 3)
        k = self.k(x).transpose(1, 2).view(x.size(0), self.num_heads, self.key_dim, -1)
        v = self.v(x).view(x.size(0), -1, self.num_heads, self.val_dim).transpose(1, 2)
        weights = (torch.matmul(q, k) * self.gain).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class Fixed(nn.Module):
    """Sizes of heads as numbers in the forward: none of them can change."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(x.size(0), -1, 3, 2, 5).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.size(0), -1, 10))


class BiasInParts(nn.Linear):
    """A linear layer whose bias is put together in the forward, as BEiT's is: none for keys, in a buffer not saved."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, 3 * outputs, bias=False)
        self.q_bias, self.v_bias = (nn.Parameter(torch.randn(outputs)) for _ in range(2))
        self.register_buffer("k_bias", torch.zeros(outputs), persistent=False)

    def forward(self, x):
        return F.linear(x, self.weight, torch.cat((self.q_bias, self.k_bias, self.v_bias)))


class OverChannels(nn.Module):
    """Attention of channels to channels (XCiT), then of its own sums (linear attention): heads go whole."""

    def __init__(self, heads: int = 3, head_dim: int = 4) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * heads * head_dim), nn.Linear(heads * head_dim, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(x).reshape(x.size(0), x.size(1), 3, self.num_heads, -1).permute(2, 0, 3, 4, 1)
        across = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)).softmax(-1) @ v
        linear = q.transpose(-2, -1).relu() @ (k.softmax(-1) @ v.transpose(-2, -1))
        return self.proj((across.transpose(-2, -1) + linear).transpose(1, 2).flatten(2))


class TalkingHeads(nn.Module):
    """Layers over heads around the softmax, so that values have other heads, and sizes from the stream, as in CaiT."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.before, self.behind = nn.Linear(heads, heads), nn.Linear(heads, heads)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, width // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        scale = (width // self.num_heads) ** -0.5  # as torchvision's Swin computes it
        scores = self.before(((q * scale) @ k.transpose(-2, -1)).permute(0, 2, 3, 1)).softmax(2)
        weights = self.behind(scores).permute(0, 3, 1, 2)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Turned(nn.Module):
    """Halves of queries and keys are turned by the token's place, as in DINOv3; the first token stays."""

    def __init__(self, heads: int = 5) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        angles = torch.arange(1.0, TOKENS)[:, None].repeat(1, WIDTH // heads)
        self.register_buffer("sine", angles.sin())
        self.register_buffer("cosine", angles.cos())

    def turned(self, x):
        first, rest = x[:, :, :1], x[:, :, 1:]
        low, high = rest.chunk(2, dim=-1)
        turned = rest * self.cosine + torch.cat([-high, low], dim=-1) * self.sine
        return torch.cat([first, turned.to(x.dtype)], dim=2)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(self.turned(q), self.turned(k), v)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class Places(nn.Module):
    """A table of relative positions that a method gives, not a forward."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.shape, self.table = (TOKENS, TOKENS, heads), nn.Parameter(torch.randn(2 * TOKENS - 1, heads))
        places = torch.arange(TOKENS)
        self.register_buffer("index", (places[:, None] - places + TOKENS - 1).flatten())

    def bias(self):
        return self.table[self.index].view(self.shape).permute(2, 0, 1)


class HeadsFirst(nn.Module):
    """Queries, keys and values of a head lie side by side, and are chunks of it, as in CoAtNet."""

    def __init__(self, heads: int = 3, head_dim: int = 4) -> None:
        super().__init__()
        self.num_heads, self.dim_head, self.places = heads, head_dim, Places(heads)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * heads * head_dim), nn.Linear(heads * head_dim, WIDTH)

    def forward(self, x):
        qkv = self.qkv(x).transpose(1, 2).view(x.size(0), self.num_heads, self.dim_head * 3, -1)
        q, k, v = (each.transpose(-1, -2) for each in qkv.chunk(3, dim=2))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=self.places.bias())
        return self.proj(x.transpose(1, 2).flatten(2))


class HeadsInGroups(HeadsFirst):
    """A layer with a group for the queries, keys and values of each head, as in EfficientViT."""

    def __init__(self, heads: int = 3, head_dim: int = 4) -> None:
        super().__init__(heads, head_dim)
        self.mixed = nn.Conv1d(3 * heads * head_dim, 3 * heads * head_dim, 1, groups=3 * heads)

    def forward(self, x):
        qkv = self.mixed(self.qkv(x).transpose(1, 2)).view(x.size(0), self.num_heads, self.dim_head * 3, -1)
        q, k, v = (each.transpose(-1, -2) for each in qkv.chunk(3, dim=2))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class OverPositions(nn.Module):
    """Tokens are mixed by a layer over positions, every channel alike, as in an MLP-Mixer."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed, self.proj = nn.Linear(TOKENS, TOKENS), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.proj(F.gelu(self.mixed(x.transpose(1, 2))).transpose(1, 2))


class Tokens(nn.Module):
    """Patches of 4 x 4, attention beside an identity, a hidden layer, and the mean of the tokens."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.patches, self.attention = nn.Conv2d(3, WIDTH, 4, stride=4), attention
        self.hidden, self.back, self.head = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.attention(x)
        x = x + self.back(F.relu(self.hidden(x)))
        return self.head(x.mean(1))


def with_bias_in_parts(attention: Fused) -> Fused:
    """Attention whose one layer has a bias that is made in the forward."""
    attention.qkv = BiasInParts(WIDTH, attention.attn_dim)
    return attention


ATTENTION = {
    "attention": lambda: Tokens(Apart()),
    "attention_fused": lambda: Tokens(Fused()),
    "attention_own_widths": lambda: Tokens(OwnWidths()),
    "attention_bias_in_parts": lambda: Tokens(with_bias_in_parts(Fused(heads=1))),
    "attention_over_channels": lambda: Tokens(OverChannels()),
    "attention_talking_heads": lambda: Tokens(TalkingHeads()),
    "positions_mixed": lambda: Tokens(OverPositions()),
    "attention_fixed": lambda: Tokens(Fixed()),
}

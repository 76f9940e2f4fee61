"""Steps that move values about or bring tensors of their own: scales, tokens, moves; how maps become logits."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from tests.fuzz.describing import Shape, Step


@dataclass(frozen=True, repr=False)
class Scale(Step):
    """Scales and shifts by tensors of its own: a number for each channel, for all, or for each pixel."""

    how: Literal["channels", "number", "pixels", "buffer", "all"]

    def module(self, shape: Shape) -> nn.Module:
        ones = tuple(1 for _ in shape[1:])
        size = {"number": (), "pixels": shape[1:], "all": shape}.get(self.how, (shape[0], *ones))
        return Scaled(size, buffer=self.how == "buffer")


class Scaled(nn.Module):
    def __init__(self, size: Shape, *, buffer: bool) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        if buffer:
            self.register_buffer("shift", torch.ones(1, *size))
        else:
            self.shift = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return x * self.gain + self.shift


@dataclass(frozen=True, repr=False)
class Tokens(Step):
    """Pixels as tokens: mixed among each other, or attended to, and added."""

    how: Literal["mix", "attend"]

    def module(self, shape: Shape) -> nn.Module:
        return Mixed(self.how, shape)


class Mixed(nn.Module):
    def __init__(self, how: str, shape: Shape) -> None:
        super().__init__()
        self.how = how
        pixels = torch.Size(shape[1:]).numel()
        self.body = nn.Linear(pixels, pixels) if how == "mix" else nn.Linear(shape[0], 3 * shape[0])

    def forward(self, x):
        tokens = x.flatten(2)
        if self.how == "mix":
            return x + self.body(tokens).reshape(x.shape)
        q, k, v = self.body(tokens.transpose(1, 2)).chunk(3, -1)
        return x + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)


@dataclass(frozen=True, repr=False)
class Extra(Step):
    """More channels: constant ones, coordinates, the images of nothing; or the last ones left out."""

    how: Literal["zeros", "coordinates", "drop"]
    count: int = 1

    def module(self, shape: Shape) -> nn.Module:
        return Widened(self)


class Widened(nn.Module):
    def __init__(self, step: Extra) -> None:
        super().__init__()
        self.how, self.count = step.how, step.count

    def forward(self, x):
        if self.how == "drop":
            return x[:, : -self.count]
        if self.how == "zeros":
            return F.pad(x, (*(0 for _ in range(2 * (x.dim() - 2))), 0, self.count))
        line = torch.linspace(-1, 1, x.shape[-1], dtype=x.dtype, device=x.device)
        return torch.cat([x, line.expand(x.shape[0], self.count, *x.shape[2:])], 1)


@dataclass(frozen=True, repr=False)
class Blur(Step):
    """A fixed kernel for each channel, and the number of channels in an attribute."""

    size: int = 3

    def module(self, shape: Shape) -> nn.Module:
        return Blurred(shape[0], self.size, len(shape) - 1)


class Blurred(nn.Module):
    def __init__(self, channels: int, size: int, dims: int) -> None:
        super().__init__()
        self.channels, self.dims = channels, dims
        self.register_buffer("kernel", torch.ones(channels, 1, *(size for _ in range(dims))))

    def forward(self, x):
        conv = (F.conv1d, F.conv2d, F.conv3d)[self.dims - 1]
        return conv(x, self.kernel, padding=self.kernel.shape[-1] // 2, groups=self.channels)


@dataclass(frozen=True, repr=False)
class Counted(Step):
    """A group norm or a kernel for each channel whose number of groups is in the code, in an attribute, or counted."""

    how: Literal["norm", "kernel"]
    number: Literal["written", "held", "counted"]
    groups: int = 1

    def module(self, shape: Shape) -> nn.Module:
        return Counting(self, shape)


class Counting(nn.Module):
    def __init__(self, step: Counted, shape: Shape) -> None:
        super().__init__()
        self.number, norm = step.number, step.how == "norm"
        groups = step.groups if norm else shape[0]
        if self.number == "held":
            self.blocks = groups
        self.written, self.each = str(groups), str(shape[0] // groups)  # as a number, an attribute would follow
        self.weight = nn.Parameter(torch.ones(shape[0])) if norm else None
        self.kernel = None if norm else nn.Parameter(torch.ones(shape[0], 1, *(1 for _ in shape[1:])))

    def forward(self, x):
        groups = int(self.written)
        if self.number == "held":
            groups = self.blocks
        if self.number == "counted":
            groups = x.shape[1] // int(self.each)
        if self.weight is not None:
            return F.group_norm(x, groups, self.weight)
        return (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3](x, self.kernel, groups=groups)


MOVES = {
    "flip": lambda x: x.flip(-1),
    "roll": lambda x: x.roll(1, 2),
    "swap": lambda x: x.transpose(-1, -2).contiguous() if x.dim() > 3 else x,
    "crop": lambda x: x[..., 1:],
    "every": lambda x: x[..., ::2],
    "narrow": lambda x: x.narrow(2, 0, x.shape[2] - 1),
    "repeat": lambda x: x.repeat_interleave(2, 2),
    "pick": lambda x: x.index_select(2, torch.arange(x.shape[2] - 1, -1, -1, device=x.device)),
    "unsqueezed": lambda x: x.unsqueeze(1).squeeze(1).clone(),
    "expanded": lambda x: x * x.new_ones(1).expand(x.shape[-1]),
    "roll_channels": lambda x: x.roll(1, 1),
    "flip_channels": lambda x: x.flip(1),
    "half": lambda x: x.half().to(x.dtype) if x.dtype == torch.float16 else x.float().to(x.dtype),
}


@dataclass(frozen=True, repr=False)
class Move(Step):
    """Moves pixels or channels about."""

    how: str

    def module(self, shape: Shape) -> nn.Module:
        return Moved(self.how)


class Moved(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x):
        return MOVES[self.how](x)


FLATTENING = {
    "flatten": lambda x: x.flatten(1),
    "view": lambda x: x.reshape(x.shape[0], -1),
    "mean": lambda x: x.mean(list(range(2, x.dim()))),
    "max": lambda x: x.flatten(2).amax(2),
    "max_values": lambda x: x.flatten(2).max(2).values,
    "sum": lambda x: x.flatten(2).sum(-1),
    "logsumexp": lambda x: x.flatten(2).logsumexp(2),
    "last": lambda x: x.flatten(2)[..., -1],
    "both": lambda x: torch.cat([x.flatten(2).mean(2), x.flatten(2).amax(2)], 1),
    "pixels_first": lambda x: x.flatten(2).transpose(1, 2).flatten(1),
    "norm": lambda x: x.flatten(2).norm(dim=2),
}


@dataclass(frozen=True, repr=False)
class Flat(Step):
    """Maps become features; `written` has their number in the forward."""

    how: str

    def module(self, shape: Shape) -> nn.Module:
        return Flattened(self.how, torch.Size(shape).numel())


class Flattened(nn.Module):
    def __init__(self, how: str, size: int) -> None:
        super().__init__()
        self.how, self.size = how, size

    def forward(self, x):
        return x.reshape(-1, self.size) if self.how == "written" else FLATTENING[self.how](x)


ENDS = {
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "scaled": lambda x: 2.5 * x,
    "clamped": lambda x: x.clamp(-50, 50),
    "cat": lambda x: torch.cat([x, -x], 1),
}


@dataclass(frozen=True, repr=False)
class End(Step):
    """What stands behind the last layer."""

    how: str

    def module(self, shape: Shape) -> nn.Module:
        return Ended(self.how)


class Ended(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x):
        return ENDS[self.how](x)

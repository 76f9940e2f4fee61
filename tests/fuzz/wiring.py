"""Steps that join, split, share or deal out values: what couples channels, and what keeps them whole."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from tests.fuzz.describing import Shape, Step, Steps, chain
from tests.fuzz.layers import CONVOLUTIONS, of_dims

JOINS = {
    "add": lambda xs: sum(xs[1:], start=xs[0]),
    "add_": lambda xs: (xs[0] + 0).add_(xs[1]),
    "sub": lambda xs: xs[0] - xs[1],
    "mul": lambda xs: xs[0] * torch.sigmoid(xs[1]),
    "div": lambda xs: xs[0] / (1 + xs[1].abs()),
    "max": lambda xs: torch.maximum(xs[0], xs[1]),
    "where": lambda xs: torch.where(xs[0] > 0, xs[0], xs[1]),
    "lerp": lambda xs: torch.lerp(xs[0], xs[1], 0.25),
    "addcmul": lambda xs: torch.addcmul(xs[0], xs[1], xs[1], value=0.5),
    "stack": lambda xs: torch.stack(xs, 1).mean(1),
    "cat": lambda xs: torch.cat(xs, 1),
    "cat_rows": lambda xs: torch.cat(xs, 2),
}


@dataclass(frozen=True, repr=False)
class Join(Step):
    """Branches on the same value, joined; an empty one passes it on."""

    how: str
    branches: tuple[Steps, ...]

    def module(self, shape: Shape) -> nn.Module:
        return Joined(self.how, [chain(steps, shape) for steps in self.branches])


class Joined(nn.Module):
    def __init__(self, how: str, branches: list[nn.Module]) -> None:
        super().__init__()
        self.how, self.branches = how, nn.ModuleList(branches)

    def forward(self, x):
        return JOINS[self.how]([branch(x) for branch in self.branches])


CUTS = {
    "chunk": lambda x, parts: x.chunk(parts, 1),
    "split": lambda x, parts: x.split(x.shape[1] // parts, 1),
    "view": lambda x, parts: x.view(x.shape[0], parts, x.shape[1] // parts, *x.shape[2:]).unbind(1),
    "slice": lambda x, parts: [x[:, k * (x.shape[1] // parts) : (k + 1) * (x.shape[1] // parts)] for k in range(parts)],
    "stride": lambda x, parts: [x[:, k::parts] for k in range(parts)],
}


@dataclass(frozen=True, repr=False)
class Split(Step):
    """Blocks of channels, each through a branch of its own; joined again. `how` tells how their sizes are known.

    `sizes`, where given, are numbers written into the forward.
    """

    how: Literal["chunk", "split", "view", "slice", "stride", "sizes"]
    branches: tuple[Steps, ...]
    join: str = "cat"
    sizes: tuple[int, ...] = ()

    def module(self, shape: Shape) -> nn.Module:
        sizes = self.sizes or (shape[0] // len(self.branches),) * len(self.branches)
        return Splitting(self, [chain(b, (n, *shape[1:])) for b, n in zip(self.branches, sizes, strict=True)])


class Splitting(nn.Module):
    def __init__(self, step: Split, branches: list[nn.Module]) -> None:
        super().__init__()
        self.how, self.join, self.sizes, self.branches = step.how, step.join, step.sizes, nn.ModuleList(branches)

    def forward(self, x):
        parts = x.split(self.sizes, 1) if self.how == "sizes" else CUTS[self.how](x, len(self.branches))
        return JOINS[self.join]([branch(part) for branch, part in zip(self.branches, parts, strict=True)])


@dataclass(frozen=True, repr=False)
class Twice(Step):
    """The same modules called twice: one call after the other, or on two values that are joined."""

    steps: Steps
    how: Literal["chain", "add", "cat"] = "chain"

    def module(self, shape: Shape) -> nn.Module:
        return Repeated(chain(self.steps, shape), self.how)


class Repeated(nn.Module):
    def __init__(self, body: nn.Module, how: str) -> None:
        super().__init__()
        self.body, self.how = body, how

    def forward(self, x):
        first = self.body(x)
        return self.body(first) if self.how == "chain" else JOINS[self.how]([first, self.body(torch.tanh(x))])


@dataclass(frozen=True, repr=False)
class Tied(Step):
    """Two convolutions with one weight and biases of their own, one after the other."""

    kernel: int = 3

    def module(self, shape: Shape) -> nn.Module:
        kind = of_dims(shape, *CONVOLUTIONS)
        first, second = (kind(shape[0], shape[0], self.kernel, padding="same") for _ in range(2))
        second.weight = first.weight
        return nn.Sequential(first, nn.ReLU(), second)


@dataclass(frozen=True, repr=False)
class Gate(Step):
    """Scales maps by what it sees of all: each channel (by convolutions, linear layers, along channels) or pixel."""

    how: Literal["conv", "linear", "along", "pixel", "softmax", "add"]
    width: int = 4

    def module(self, shape: Shape) -> nn.Module:
        return Gated(self, shape)


class Gated(nn.Module):
    def __init__(self, step: Gate, shape: Shape) -> None:
        super().__init__()
        self.how, channels = step.how, shape[0]
        conv = of_dims(shape, *CONVOLUTIONS)
        if self.how in ("conv", "add"):
            self.body = nn.Sequential(conv(channels, step.width, 1), nn.SiLU(), conv(step.width, channels, 1))
        elif self.how == "linear":
            self.body = nn.Sequential(nn.Linear(channels, step.width), nn.ReLU(), nn.Linear(step.width, channels))
        elif self.how == "along":
            self.body = nn.Conv1d(1, 1, 3, padding=1)
        else:
            self.body = conv(channels, 1 if self.how == "pixel" else channels, 1)

    def forward(self, x):
        if self.how == "pixel":
            return x * torch.sigmoid(self.body(x))
        if self.how == "softmax":
            return x * self.body(x).softmax(1)
        sides = list(range(2, x.dim()))
        means = x.mean(sides, keepdim=self.how in ("conv", "add"))
        means = self.body(means.unsqueeze(1)).squeeze(1) if self.how == "along" else self.body(means)
        gate = means.reshape(*x.shape[:2], *(1 for _ in sides))
        return x + gate if self.how == "add" else x * torch.sigmoid(gate)


@dataclass(frozen=True, repr=False)
class Shuffle(Step):
    """Deals the channels of groups out: as a module, or by views whose sizes are taken from the value."""

    groups: int
    how: Literal["module", "view"] = "view"

    def module(self, shape: Shape) -> nn.Module:
        return nn.ChannelShuffle(self.groups) if self.how == "module" else Dealt(self.groups)


class Dealt(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x):
        batch, channels, *sides = x.shape
        return x.view(batch, self.groups, channels // self.groups, *sides).transpose(1, 2).reshape(x.shape)


@dataclass(frozen=True, repr=False)
class Space(Step):
    """Makes channels of pixels, or pixels of channels."""

    how: Literal["unshuffle", "shuffle"]
    factor: int = 2

    def module(self, shape: Shape) -> nn.Module:
        return (nn.PixelUnshuffle if self.how == "unshuffle" else nn.PixelShuffle)(self.factor)


@dataclass(frozen=True, repr=False)
class Grid(Step):
    """Channels viewed as rows of a number: something is taken of each row, or done along one side of the grid."""

    how: Literal["mean", "max", "softmax", "spread", "swap"]
    columns: int

    def module(self, shape: Shape) -> nn.Module:
        return Gridded(self)


class Gridded(nn.Module):
    def __init__(self, step: Grid) -> None:
        super().__init__()
        self.how, self.columns = step.how, step.columns

    def forward(self, x):
        batch, channels, *sides = x.shape
        grid = x.reshape(batch, channels // self.columns, self.columns, *sides)
        if self.how == "mean":
            return grid.mean(2)
        if self.how == "max":
            return grid.amax(2)
        if self.how == "softmax":
            return grid.softmax(1).reshape(x.shape)
        if self.how == "spread":
            return (grid / (grid.var(2, keepdim=True) + 0.1).sqrt()).reshape(x.shape)
        return grid.transpose(1, 2).flatten(1, 2)


@dataclass(frozen=True, repr=False)
class Fold(Step):
    """Blocks of rows go through steps side by side, as more images of the batch."""

    steps: Steps
    parts: int = 2

    def module(self, shape: Shape) -> nn.Module:
        return Folded(chain(self.steps, (shape[0], shape[1] // self.parts, *shape[2:])), self.parts)


class Folded(nn.Module):
    def __init__(self, body: nn.Module, parts: int) -> None:
        super().__init__()
        self.body, self.parts = body, parts

    def forward(self, x):
        batch, channels, rows, *sides = x.shape
        parts = x.reshape(batch, channels, self.parts, rows // self.parts, *sides).transpose(1, 2)
        y = self.body(parts.flatten(0, 1))
        return y.reshape(batch, self.parts, *y.shape[1:]).transpose(1, 2).flatten(2, 3)

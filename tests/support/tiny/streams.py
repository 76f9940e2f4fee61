"""Networks in which channels are added, concatenated, grouped, shuffled or sliced."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.tiny.plain import CLASSES


def unit(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, act: bool = True):
    """Convolution, BatchNorm and, unless it is the end of a branch, relu."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([nn.ReLU()] if act else []))


class Head(nn.Module):
    """Global average pool and one linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(width, CLASSES)

    def forward(self, x):
        return self.linear(torch.flatten(self.pool(x), 1))


class Basic(nn.Module):
    """Two 3 x 3 convolutions beside an identity or a strided 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.a, self.b = unit(inputs, outputs, stride=stride), unit(outputs, outputs, act=False)
        project = stride != 1 or inputs != outputs
        self.shortcut = unit(inputs, outputs, 1, stride=stride, act=False) if project else nn.Identity()

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.shortcut(x))


def residual() -> nn.Sequential:
    """Identity and downsampling blocks."""
    return nn.Sequential(unit(3, 8), Basic(8, 8), Basic(8, 12, 2), Basic(12, 12), Head(12))


class Padded(nn.Module):
    """A CIFAR block with option A: the shortcut is strided and padded with channels of zeros."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.a, self.b = unit(inputs, outputs, stride=2), unit(outputs, outputs, act=False)
        self.padding = (outputs - inputs) // 2

    def forward(self, x):
        shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(self.b(self.a(x)) + shortcut)


def residual_pad() -> nn.Sequential:
    """An identity block, then option A."""
    return nn.Sequential(unit(3, 8), Basic(8, 8), Padded(8, 14), Basic(14, 14), Head(14))


class Inception(nn.Module):
    """Four branches of different width, concatenated."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.one, self.three = unit(inputs, 6, 1), nn.Sequential(unit(inputs, 5, 1), unit(5, 8))
        self.five = nn.Sequential(unit(inputs, 4, 1), unit(4, 6, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), unit(inputs, 4, 1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def concat() -> nn.Sequential:
    """Two inception blocks."""
    return nn.Sequential(unit(3, 8), nn.MaxPool2d(2), Inception(8), Inception(24), Head(24))


class Growing(nn.Module):
    """BatchNorm, relu, convolution over everything so far, appended to it."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


def dense() -> nn.Sequential:
    """Growth of 4, a transition, growth again, a last BatchNorm."""
    transition = (nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2))
    first, second = (Growing(8 + 4 * k, 4) for k in range(3)), (Growing(10 + 4 * k, 4) for k in range(2))
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), *first, *transition, *second, nn.BatchNorm2d(18), nn.ReLU(), Head(18)
    )


class Inverted(nn.Module):
    """MobileNet's inverted residual: widen, depthwise, project; added to the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        wide = 2 * inputs
        depthwise = unit(wide, wide, stride=stride, groups=wide)
        self.body = nn.Sequential(unit(inputs, wide, 1), depthwise, unit(wide, outputs, 1, act=False))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def depthwise() -> nn.Sequential:
    """Inverted residuals with and without a shortcut."""
    return nn.Sequential(unit(3, 8), Inverted(8, 8), Inverted(8, 12, 2), Inverted(12, 12), unit(12, 16, 1), Head(16))


def depthwise_multiplier() -> nn.Sequential:
    """A depthwise convolution that makes two maps of each."""
    return nn.Sequential(unit(3, 8), unit(8, 16, groups=8), unit(16, 10, 1), Head(10))


class Grouped(nn.Module):
    """ResNeXt's bottleneck with four groups."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(unit(width, 16, 1), unit(16, 16, groups=4), unit(16, width, 1, act=False))

    def forward(self, x):
        return F.relu(x + self.body(x))


def grouped() -> nn.Sequential:
    """Two ResNeXt blocks."""
    return nn.Sequential(unit(3, 12), Grouped(12), nn.MaxPool2d(2), Grouped(12), Head(12))


class Shuffle(nn.Module):
    """ShuffleNet V2's unit: one half stays, the other is convolved, then both are interleaved."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(unit(half, half, 1), unit(half, half, groups=half, act=False), unit(half, half, 1))

    def forward(self, x):
        kept, changed = x.chunk(2, dim=1)
        x = torch.cat([kept, self.body(changed)], dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return x.view(batch, channels, height, width)


def shuffle() -> nn.Sequential:
    """Two units, so that what was shuffled is chunked again."""
    return nn.Sequential(unit(3, 12), Shuffle(12), Shuffle(12), Head(12))


class SplitHalves(nn.Module):
    """A gated unit: each half of the channels goes its own way, and both are joined again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = unit(3, 12, act=False), unit(12, 10), Head(10)

    def forward(self, x):
        a, b = self.stem(x).chunk(2, 1)
        return self.head(self.mix(torch.cat([torch.sigmoid(a), torch.tanh(b)], 1)))


class SliceConstant(nn.Module):
    """The same with the boundary written into the forward: a cut runs, with right shapes and wrong values."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = unit(3, 10, act=False), unit(10, 10), Head(10)

    def forward(self, x):
        y = self.stem(x)
        return self.head(self.mix(torch.cat([torch.sigmoid(y[:, :4]), torch.tanh(y[:, 4:])], 1)))


STREAMS = {
    "residual": residual,
    "residual_pad": residual_pad,
    "concat": concat,
    "dense": dense,
    "depthwise": depthwise,
    "depthwise_multiplier": depthwise_multiplier,
    "grouped": grouped,
    "shuffle": shuffle,
    "split_halves": SplitHalves,
    "slice_constant": SliceConstant,
}

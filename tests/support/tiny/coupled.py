"""Networks in which whole blocks of channels go together, are dealt out again and again, or are counted elsewhere."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.tiny.streams import Head, unit


class SelectKernels(nn.Module):
    """Two branches, and a softmax over them for each channel (SKNet)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.small, self.large = unit(inputs, width), unit(inputs, width, 5)
        self.squeeze, self.excite = nn.Conv2d(width, 6, 1), nn.Conv2d(6, 2 * width, 1)

    def forward(self, x):
        branches = torch.stack([self.small(x), self.large(x)], 1)
        weights = self.excite(F.relu(self.squeeze(branches.sum(1).mean((2, 3), keepdim=True))))
        batch, channels = weights.shape[:2]
        return (branches * weights.view(batch, 2, channels // 2, 1, 1).softmax(1)).sum(1)


class GroupMeans(nn.Module):
    """The mean over each block of three channels, their number counted at run time."""

    def forward(self, x):
        batch, channels, height, width = x.shape
        return x.view(batch, channels // 3, 3, height, width).mean(2)


class GroupSpread(nn.Module):
    """Divides by the deviation of each group of channels; the number of groups is an attribute (EvoNorm)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x):
        batch, channels, height, width = x.shape
        blocks = x.reshape(batch, self.groups, channels // self.groups, height, width)
        spread = (blocks.var((2, 3, 4), keepdim=True) + 1e-5).sqrt().expand(blocks.shape).reshape(x.shape)
        return x * torch.sigmoid(x) / spread


class ShuffleUnit(nn.Module):
    """Half of the channels pass by, the other half goes through a branch; then both are shuffled (ShuffleNet v2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = unit(width // 2, width // 2)

    def forward(self, x):
        passed, taken = x.chunk(2, dim=1)
        y = torch.cat([passed, self.branch(taken)], 1)
        batch, channels, height, width = y.shape
        return y.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class Blur(nn.Module):
    """A fixed depthwise kernel, and the number of channels in an attribute that is not called groups."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1))

    def forward(self, x):
        return F.conv2d(x, self.kernel, stride=2, padding=1, groups=self.channels)


class Masked(nn.Module):
    """A mask of ones and zeros, made in the forward by writing into a part of it."""

    def forward(self, x):
        mask = x.new_zeros(12, 12)
        mask[2:, :9] = 1
        return x * mask


class Windows(nn.Module):
    """A convolution over the four quarters of an image, which lie in the batch for that time (Swin)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x):
        batch, channels, height, width = x.shape
        quarters = x.view(batch, channels, 2, height // 2, 2, width // 2).permute(0, 2, 4, 1, 3, 5)
        y = F.relu(self.conv(quarters.reshape(batch * 4, channels, height // 2, width // 2)))
        y = y.view(batch, 2, 2, y.shape[1], height // 2, width // 2).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(batch, -1, height, width)


class Elsewhere(nn.Module):
    """Gives a product of positions the shape of its input, whose number of channels it takes for its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.value = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        batch, channels, height, width = x.shape
        query, value = self.query(x).flatten(2), self.value(x).flatten(2)
        mixed = torch.matmul(query.transpose(1, 2), value.mean(2, keepdim=True)) * value.transpose(1, 2)
        return mixed.transpose(1, 2).reshape(batch, channels, height, width)


class Conditional(nn.Module):
    """A kernel of its own for each image (CondConv): the images of a batch stand side by side as groups."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.route = nn.Linear(inputs, 3)
        self.kernels = nn.Parameter(torch.randn(3, outputs * inputs * 9) * 0.2)
        self.outputs = outputs

    def forward(self, x):
        batch, channels, height, width = x.shape
        kernels = torch.matmul(torch.sigmoid(self.route(x.mean((2, 3)))), self.kernels)
        kernels = kernels.view(batch * self.outputs, channels, 3, 3)
        y = F.conv2d(x.reshape(1, batch * channels, height, width), kernels, padding=1, groups=batch)
        return y.view(batch, self.outputs, height, width)


class Standardised(nn.Conv2d):
    """A convolution that standardises each filter over all of its inputs, anew in each pass (NFNet)."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (self.weight.std((1, 2, 3), keepdim=True) + 1e-5) * 0.4
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def norm_groups(groups: int = 1) -> nn.Sequential:
    """Norms over groups of three and of two channels."""
    return nn.Sequential(
        *(unit(3, 8), nn.Conv2d(8, 12, 3, padding=1, groups=groups), nn.GroupNorm(4, 12), nn.ReLU()),
        *(nn.Conv2d(12, 16, 3, padding=1), nn.GroupNorm(8, 16), nn.ReLU(), unit(16, 10), Head(10)),
    )


def norm_groups_grouped() -> nn.Sequential:
    """The same, the first norm behind a convolution in groups: blocks of blocks."""
    return norm_groups(2)


def select_kernels() -> nn.Sequential:
    return nn.Sequential(unit(3, 8), SelectKernels(8, 10), unit(10, 12), Head(12))


def group_means() -> nn.Sequential:
    return nn.Sequential(unit(3, 8), unit(8, 18), GroupMeans(), unit(6, 10), Head(10))


def group_spread() -> nn.Sequential:
    stem = (unit(3, 8, act=False), GroupSpread(4))
    return nn.Sequential(*stem, unit(8, 12, act=False), GroupSpread(4), unit(12, 10), Head(10))


def group_spread_each() -> nn.Sequential:
    """As many groups as channels at first, so that the number of groups is a number of channels."""
    return nn.Sequential(unit(3, 8, act=False), GroupSpread(8), unit(8, 16, act=False), GroupSpread(8), Head(16))


def shuffles() -> nn.Sequential:
    """Three units in a row: the channels lie in blocks of blocks."""
    return nn.Sequential(unit(3, 32), *(ShuffleUnit(32) for _ in range(3)), Head(32))


def shuffles_bound() -> nn.Sequential:
    """As many units as leave no part of the stream that could go."""
    return nn.Sequential(unit(3, 12), *(ShuffleUnit(12) for _ in range(4)), unit(12, 10), Head(10))


def blur() -> nn.Sequential:
    return nn.Sequential(unit(3, 10), Blur(10), unit(10, 12), Head(12))


def mask_made() -> nn.Sequential:
    return nn.Sequential(unit(3, 10), Masked(), unit(10, 12), Head(12))


def counted_elsewhere() -> nn.Sequential:
    return nn.Sequential(unit(3, 8), Elsewhere(8), unit(8, 12), Head(12))


def windows() -> nn.Sequential:
    return nn.Sequential(unit(3, 8), Windows(8, 12), unit(12, 10), Head(10))


def conditional() -> nn.Sequential:
    return nn.Sequential(unit(3, 8), unit(8, 6), Conditional(6, 8), nn.ReLU(), unit(8, 10), unit(10, 12), Head(12))


def standardised() -> nn.Sequential:
    return nn.Sequential(
        *(unit(3, 8), unit(8, 10), Standardised(10, 12, 3, padding=1), nn.ReLU()),
        *(Standardised(12, 10, 3, padding=1, groups=2), nn.ReLU(), unit(10, 8), unit(8, 8), Head(8)),
    )


COUPLED = {
    "norm_groups": norm_groups,
    "norm_groups_grouped": norm_groups_grouped,
    "select_kernels": select_kernels,
    "group_means": group_means,
    "group_spread": group_spread,
    "group_spread_each": group_spread_each,
    "shuffles": shuffles,
    "shuffles_bound": shuffles_bound,
    "blur": blur,
    "mask_made": mask_made,
    "counted_elsewhere": counted_elsewhere,
    "windows": windows,
    "conditional": conditional,
    "standardised": standardised,
}

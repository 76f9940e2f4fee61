"""What our networks share: widths, and a convolution with its norm and activation."""

from torch import nn


def scaled(channels: int, width: float) -> int:
    """Channels at a width multiplier, at least one."""
    return max(1, int(channels * width))


def conv_norm_relu(
    channels: int, out: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = False
) -> nn.Sequential:
    """A convolution that keeps the size of the map (at stride 1), BatchNorm, ReLU."""
    conv = nn.Conv2d(channels, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True))

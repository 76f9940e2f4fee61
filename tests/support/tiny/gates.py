"""Networks whose maps are scaled: by gates, by parameters, by norms over channels; and per-channel activations."""

import torch
from torch import nn
from torch.nn import functional as F

from tests.support.tiny.streams import Head, unit


class SqueezeExcite(nn.Module):
    """A gate for each channel, from the mean map through two 1 x 1 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, 6, 1), nn.Conv2d(6, width, 1)

    def forward(self, x):
        gate = self.excite(F.silu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class SqueezeExciteLinear(nn.Module):
    """The same with linear layers, and views to and fro."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Linear(width, 6), nn.Linear(6, width)

    def forward(self, x):
        batch, channels = x.shape[:2]
        pooled = F.adaptive_avg_pool2d(x, 1).view(batch, channels)
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))
        return x * gate.view(batch, channels, 1, 1)


class SpatialAttention(nn.Module):
    """CBAM's gate for each pixel, from the mean and the largest of its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1, bias=False)

    def forward(self, x):
        summary = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.conv(summary))


class SoftmaxGate(nn.Module):
    """Channels that compete through a softmax."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, x):
        return x * F.softmax(self.conv(x), dim=1)


class LayerScale(nn.Module):
    """A residual branch scaled by one parameter a channel, C x 1 x 1, and the stream by a single number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = unit(width, width, act=False)
        self.gamma, self.gain = (
            nn.Parameter(torch.linspace(0.5, 1.5, width)[:, None, None]),
            nn.Parameter(torch.tensor(0.7)),
        )

    def forward(self, x):
        return x * self.gain + self.gamma * self.body(x)


class ConvNext(nn.Module):
    """Depthwise, then channels last: LayerNorm, linear, GELU, linear; scaled, and added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.gamma = nn.Parameter(torch.linspace(0.5, 1.5, width))

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.gamma * self.narrow(F.gelu(self.widen(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


def se() -> nn.Sequential:
    return nn.Sequential(unit(3, 12), SqueezeExcite(12), unit(12, 10), Head(10))


def se_linear() -> nn.Sequential:
    return nn.Sequential(unit(3, 12), SqueezeExciteLinear(12), unit(12, 10), Head(10))


def spatial_attention() -> nn.Sequential:
    return nn.Sequential(unit(3, 12), SpatialAttention(), unit(12, 10), Head(10))


def softmax_inside() -> nn.Sequential:
    return nn.Sequential(unit(3, 8), SoftmaxGate(8), unit(8, 10), Head(10))


def layer_scale() -> nn.Sequential:
    return nn.Sequential(unit(3, 10), LayerScale(10), nn.ReLU(), unit(10, 12), Head(12))


def prelu() -> nn.Sequential:
    """A slope for each channel, then one for all."""
    return nn.Sequential(unit(3, 8, act=False), nn.PReLU(8), unit(8, 10, act=False), nn.PReLU(), Head(10))


def group_norm() -> nn.Sequential:
    """A norm over groups of channels: it mixes what it normalises."""
    stem = (nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU())
    return nn.Sequential(*stem, nn.Conv2d(8, 12, 3, padding=1), nn.GroupNorm(1, 12), nn.ReLU(), unit(12, 10), Head(10))


def layer_norm_channels_last() -> nn.Sequential:
    """Two ConvNeXt blocks."""
    return nn.Sequential(nn.Conv2d(3, 8, 2, stride=2), ConvNext(8), ConvNext(8), unit(8, 12), Head(12))


GATES = {
    "se": se,
    "se_linear": se_linear,
    "spatial_attention": spatial_attention,
    "softmax_over_channels_inside": softmax_inside,
    "layer_scale": layer_scale,
    "prelu": prelu,
    "group_norm": group_norm,
    "layer_norm_channels_last": layer_norm_channels_last,
}

"""GoogLeNet for images of 32 to 64 pixels (Szegedy et al., 2015), with BatchNorm and 5x5 as two 3x3 convolutions."""

import torch
from torch import Tensor, nn

from model_lego.models.layers import conv_norm_relu, scaled

#: Of each module at width 1: 1x1; reduction and 3x3; reduction and 5x5; behind the pooling. "M" halves the map.
MODULES: tuple[tuple[int, ...] | str, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    "M",
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    "M",
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


class Inception(nn.Module):
    """Four branches side by side: 1x1; 3x3; 5x5; pooling."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = widths
        self.one = conv_norm_relu(channels, one, 1)
        self.three = nn.Sequential(conv_norm_relu(channels, reduce3, 1), conv_norm_relu(reduce3, three))
        self.five = nn.Sequential(
            conv_norm_relu(channels, reduce5, 1), conv_norm_relu(reduce5, five), conv_norm_relu(five, five)
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv_norm_relu(channels, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Give the branches' maps, joined."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


class GoogLeNet(nn.Module):
    """One convolution and nine inception modules."""

    def __init__(self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        channels = scaled(192, width)
        self.stem = conv_norm_relu(in_channels, channels)
        modules: list[nn.Module] = []
        for base in MODULES:
            if isinstance(base, str):
                modules.append(nn.MaxPool2d(3, stride=2, padding=1))
                continue
            widths = tuple(scaled(each, width) for each in base)
            modules.append(Inception(channels, widths))
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.body = nn.Sequential(*modules)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.linear(self.body(self.stem(x)).mean((2, 3)))
        return logits

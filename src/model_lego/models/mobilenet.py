"""MobileNet for images of 32 to 64 pixels (Howard et al., 2017): depthwise and 1x1 convolutions in turn."""

from torch import Tensor, nn

from model_lego.models.layers import conv_norm_relu, scaled

#: Channels and stride of each pair at width 1.
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class MobileNet(nn.Module):
    """A stem and thirteen pairs of a depthwise and a 1x1 convolution."""

    def __init__(self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        channels = scaled(32, width)
        layers: list[nn.Module] = [conv_norm_relu(in_channels, channels)]
        for base, stride in PAIRS:
            out = scaled(base, width)
            layers += [conv_norm_relu(channels, channels, stride=stride, groups=channels)]
            layers += [conv_norm_relu(channels, out, 1)]
            channels = out
        self.features = nn.Sequential(*layers)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.linear(self.features(x).mean((2, 3)))
        return logits

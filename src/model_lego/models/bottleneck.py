"""ResNet-50 for images of 32 to 64 pixels (He et al., 2016): a 3x3 stem, no pooling in front of the stages."""

from torch import Tensor, nn
from torch.nn import functional as F

from model_lego.models.layers import conv_norm_relu, scaled

EXPANSION = 4
#: Blocks and planes of each stage at width 1.
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))


class Bottleneck(nn.Module):
    """1x1, 3x3 (which strides) and 1x1 convolutions beside a shortcut, projected where the shape changes."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        out = EXPANSION * planes
        self.reduce = conv_norm_relu(channels, planes, 1)
        self.spatial = conv_norm_relu(planes, planes, 3, stride=stride)
        self.expand = _projection(planes, out, 1)
        self.shortcut = _projection(channels, out, stride) if stride > 1 or channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Give the block's map."""
        return F.relu(self.expand(self.spatial(self.reduce(x))) + self.shortcut(x))


class ResNet50(nn.Module):
    """Four stages of 3, 4, 6 and 3 bottlenecks."""

    def __init__(self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3) -> None:
        super().__init__()
        channels = scaled(64, width)
        self.stem = conv_norm_relu(in_channels, channels)
        blocks: list[nn.Module] = []
        for number, (count, base) in enumerate(STAGES):
            planes = scaled(base, width)
            for block in range(count):
                blocks.append(Bottleneck(channels, planes, 2 if number and not block else 1))
                channels = EXPANSION * planes
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        logits: Tensor = self.linear(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


def _projection(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

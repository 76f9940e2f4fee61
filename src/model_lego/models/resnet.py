"""Residual networks for images of 32 x 32 pixels, with parameter-free shortcuts (He et al., 2016, option A)."""

from torch import Tensor, nn
from torch.nn import functional as F


class PaddedBlock(nn.Module):
    """Two 3x3 convolutions; where the map shrinks, the shortcut skips pixels and pads channels with zeros."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.padding = (planes - channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Give the block's map."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.padding:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(y + x)


class ResNet20(nn.Module):
    """Three stages of three blocks with 16, 32 and 64 channels at width 1."""

    def __init__(self, num_classes: int = 10, *, width: float = 1.0, in_channels: int = 3, blocks: int = 3) -> None:
        super().__init__()
        planes = [2 * max(1, int(base * width / 2)) for base in (16, 32, 64)]
        self.conv1 = nn.Conv2d(in_channels, planes[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.layer1 = _stage(planes[0], planes[0], blocks, 1)
        self.layer2 = _stage(planes[0], planes[1], blocks, 2)
        self.layer3 = _stage(planes[1], planes[2], blocks, 2)
        self.linear = nn.Linear(planes[2], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits, batch x classes."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


def _stage(channels: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    first = PaddedBlock(channels, planes, stride)
    return nn.Sequential(first, *[PaddedBlock(planes, planes, 1) for _ in range(blocks - 1)])

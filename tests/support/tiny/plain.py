"""Networks without branches: a stack of layers, differing in normalisation, flatten, geometry and head."""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 5


def plain() -> nn.Sequential:
    """Convolution, BatchNorm, relu, pool; flatten of 3 x 3 maps; two linear layers."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(12 * 3 * 3, 16), nn.ReLU(), nn.Linear(16, CLASSES)),
    )


def plain_nobn() -> nn.Sequential:
    """Biases in place of BatchNorm."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 10, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(10 * 3 * 3, 14), nn.ReLU(), nn.Linear(14, CLASSES)),
    )


def multi_linear() -> nn.Sequential:
    """A deep head of linear layers, with dropout and a BatchNorm1d."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(8, 24), nn.ReLU(), nn.Dropout(0.5), nn.Linear(24, 20, bias=False)),
        *(nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, CLASSES)),
    )


def geometry() -> nn.Sequential:
    """Kernels that are not square, stride, dilation, padding="same" and reflected padding."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, (3, 1), stride=(1, 2), padding=(1, 0)), nn.ReLU()),
        *(nn.Conv2d(8, 10, (1, 5), padding="same"), nn.ReLU()),
        *(nn.Conv2d(10, 12, 3, dilation=2, padding=2, stride=2), nn.ReLU()),
        *(nn.Conv2d(12, 8, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True)),
        *(nn.Flatten(), nn.Linear(8 * 3 * 2, CLASSES)),
    )


class Features(nn.Module):
    """Two convolutions with BatchNorm, each halving the map: B x 3 x 12 x 12 -> B x width x 3 x 3."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b, self.norm_b = nn.Conv2d(8, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm_a(self.a(x))), 2)
        return F.max_pool2d(F.relu(self.norm_b(self.b(x))), 2)


class ViewFlatten(nn.Module):
    """Flattens with the batch size read off the tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = Features(12), nn.Linear(12 * 3 * 3, CLASSES)

    def forward(self, x):
        x = self.features(x)
        return self.head(x.view(x.size(0), -1))


class ViewConstant(nn.Module):
    """Flattens with the channel count written into the forward, which a cut cannot change."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = Features(16), nn.Linear(16 * 3 * 3, CLASSES)

    def forward(self, x):
        return self.head(self.features(x).view(-1, 16 * 3 * 3))


class ConvHead(nn.Module):
    """SqueezeNet's head: a 1 x 1 convolution gives the classes, relu, global pool, flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Features(12)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(12, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def forward(self, x):
        return torch.flatten(self.classifier(self.features(x)), 1)


class AverageFlatten(nn.Module):
    """Loses height and width in a mean, without a flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = Features(12), nn.Linear(12, CLASSES)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


class LogSoftmaxHead(nn.Module):
    """Gives log-probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = Features(12), nn.Linear(12 * 3 * 3, CLASSES)

    def forward(self, x):
        return F.log_softmax(self.head(torch.flatten(self.features(x), 1)), dim=1)


PLAIN = {
    "plain": plain,
    "plain_nobn": plain_nobn,
    "multi_linear": multi_linear,
    "geometry": geometry,
    "view_flatten": ViewFlatten,
    "view_constant": ViewConstant,
    "conv_head": ConvHead,
    "average_flatten": AverageFlatten,
    "log_softmax_head": LogSoftmaxHead,
}

"""Networks that hold or use their tensors in unusual ways, other inputs than images, and networks to be refused."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from tests.support.tiny.streams import Head, unit


class Shared(nn.Module):
    """One convolution called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.norm, self.head = (
            unit(3, 10),
            nn.Conv2d(10, 10, 3, padding=1),
            nn.BatchNorm2d(10),
            Head(10),
        )

    def forward(self, x):
        x = F.relu(self.twice(self.stem(x)))
        return self.head(F.relu(self.norm(self.twice(x))))


class Tied(nn.Module):
    """Two convolutions with one weight, and biases of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = unit(3, 10), Head(10)
        self.a, self.b = nn.Conv2d(10, 10, 3, padding=1), nn.Conv2d(10, 10, 3, padding=1)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.head(F.relu(self.b(F.relu(self.a(self.stem(x))))))


class InPlace(nn.Module):
    """Overwrites: relu in place, `y += x`, `mul_`; in an order that can still be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU(inplace=True))
        self.a, self.norm = nn.Conv2d(10, 10, 3, padding=1), nn.BatchNorm2d(10)
        self.b, self.head = nn.Conv2d(10, 12, 1), Head(12)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.a(x))
        y += x
        y = F.relu(y, inplace=True)
        return self.head(torch.relu_(self.b(y).mul_(0.5)))


class DeadBranch(nn.Module):
    """A module that is registered and never called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.unused, self.mix, self.head = unit(3, 10), unit(10, 7), unit(10, 12), Head(12)

    def forward(self, x):
        return self.head(self.mix(self.stem(x)))


class Auxiliary(nn.Module):
    """A second head that is there in training only, as in GoogLeNet: training gives (logits, auxiliary logits)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head, self.auxiliary = unit(3, 10), unit(10, 12), Head(12), Head(10)

    def forward(self, x):
        x = self.stem(x)
        logits = self.head(self.mix(x))
        return (logits, self.auxiliary(x)) if self.training else logits


class Transposed(nn.Module):
    """Down and up again: the weight of a transposed convolution is I x O x kh x kw."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = unit(3, 12, stride=2), nn.ConvTranspose2d(12, 8, 2, stride=2)
        self.mix, self.head = unit(8, 10), Head(10)

    def forward(self, x):
        return self.head(self.mix(F.relu(self.up(self.down(x)))))


class Constants(nn.Module):
    """A buffer and a plain attribute, both 1 x C x 1 x 1; the attribute follows neither `.to()` nor the state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.head = unit(3, 8), unit(8, 10), Head(10)
        self.register_buffer("shift", torch.linspace(-1, 1, 8).view(1, 8, 1, 1))
        self.tilt = torch.linspace(0.5, -0.5, 10, dtype=torch.float64).view(1, 10, 1, 1).float()

    def forward(self, x):
        x = self.mix(self.stem(x) + self.shift)
        return self.head(x + self.tilt.to(x.dtype))


def weight_norm() -> nn.Sequential:
    """A weight that is computed from direction and length."""
    middle = parametrizations.weight_norm(nn.Conv2d(8, 12, 3, padding=1))
    return nn.Sequential(unit(3, 8), middle, nn.ReLU(), unit(12, 10), Head(10))


UNUSUAL = {
    "shared": Shared,
    "tied": Tied,
    "in_place": InPlace,
    "dead_branch": DeadBranch,
    "auxiliary": Auxiliary,
    "transposed_conv": Transposed,
    "constants": Constants,
    "weight_norm": weight_norm,
}


def conv1d() -> nn.Sequential:
    """Sequences, B x 3 x 24."""
    return nn.Sequential(
        *(nn.Conv1d(3, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(8, 10, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(10, 5)),
    )


OTHER = {"conv1d": conv1d}


def one_logit() -> nn.Sequential:
    """Two classes in one number, B x 1: there is no logit of the other class to keep."""
    return nn.Sequential(unit(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1), nn.Sigmoid())


class WriteIntoView(nn.Module):
    """Writes into a slice: in the exported graph nobody uses what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = unit(3, 8), Head(8)

    def forward(self, x):
        y = self.stem(x)
        y[:, :2] = 0
        return self.head(y)


class DataDependent(nn.Module):
    """Goes one way or the other, depending on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = unit(3, 8), unit(3, 8), Head(8)

    def forward(self, x):
        return self.head(self.a(x) if x.sum() > 0 else self.b(x))


REFUSED = {"one_logit": one_logit, "write_into_view": WriteIntoView, "data_dependent": DataDependent}

"""Steps that are one layer of torch: convolutions, norms, activations, pools, pads, linear layers."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from tests.fuzz.describing import Shape, Step

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def of_dims(shape: Shape, *kinds: type[nn.Module]) -> type[nn.Module]:
    """The kind of module for maps of so many dimensions."""
    return kinds[len(shape) - 2]


@dataclass(frozen=True, repr=False)
class Conv(Step):
    """A convolution."""

    width: int
    kernel: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] | str = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    mode: str = "zeros"
    bias: bool = True

    def module(self, shape: Shape) -> nn.Module:
        return of_dims(shape, *CONVOLUTIONS)(
            shape[0],
            self.width,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            padding_mode=self.mode,
            bias=self.bias,
        )


@dataclass(frozen=True, repr=False)
class Up(Step):
    """A transposed convolution."""

    width: int
    kernel: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    extra: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    bias: bool = True

    def module(self, shape: Shape) -> nn.Module:
        return of_dims(shape, *TRANSPOSED)(
            shape[0],
            self.width,
            self.kernel,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.extra,
            dilation=self.dilation,
            groups=self.groups,
            bias=self.bias,
        )


@dataclass(frozen=True, repr=False)
class Computed(Step):
    """A convolution whose weight is computed: from direction and length, or standardised."""

    width: int
    how: Literal["weight_norm", "standardised"]

    def module(self, shape: Shape) -> nn.Module:
        conv = of_dims(shape, *CONVOLUTIONS)(shape[0], self.width, 3, padding=1)
        return parametrizations.weight_norm(conv) if self.how == "weight_norm" else Standardised(conv)


class Standardised(nn.Module):
    """A convolution with the mean of each of its kernels taken away."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x):
        weight = self.conv.weight
        weight = weight - weight.mean(list(range(1, weight.dim())), keepdim=True)
        return self.conv._conv_forward(x, weight, self.conv.bias)


@dataclass(frozen=True, repr=False)
class Norm(Step):
    """A normalisation; `layer` over channels-last channels, `pixels` over the pixels of each map."""

    how: Literal["batch", "group", "instance", "layer", "pixels", "rms"]
    groups: int = 1
    affine: bool = True
    tracked: bool = False

    def module(self, shape: Shape) -> nn.Module:
        width = shape[0]
        if self.how == "batch":
            kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
            return (nn.BatchNorm1d if len(shape) == 1 else of_dims(shape, *kinds))(width, affine=self.affine)
        if self.how == "instance":
            kinds = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
            return of_dims(shape, *kinds)(width, affine=self.affine, track_running_stats=self.tracked)
        if self.how == "group":
            return nn.GroupNorm(self.groups, width, affine=self.affine)
        if self.how == "pixels":
            return nn.LayerNorm(shape[1:], elementwise_affine=self.affine)
        kind = nn.LayerNorm if self.how == "layer" else nn.RMSNorm
        return Last(kind(width, elementwise_affine=self.affine))


class Last(nn.Module):
    """Runs a module with the channels as the last dimension."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x.movedim(1, -1)).movedim(-1, 1)


ACTIVATIONS = {
    "relu": nn.ReLU,
    "relu_": lambda: nn.ReLU(inplace=True),
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hardswish": nn.Hardswish,
    "hardswish_": lambda: nn.Hardswish(inplace=True),
    "hardsigmoid": nn.Hardsigmoid,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "leaky_": lambda: nn.LeakyReLU(0.2, inplace=True),
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "softshrink": nn.Softshrink,
    "logsigmoid": nn.LogSigmoid,
    "threshold": lambda: nn.Threshold(0.1, -0.2),
    "dropout": nn.Dropout,
    "alpha_dropout": nn.AlphaDropout,
    "identity": nn.Identity,
    "prelu": nn.PReLU,
}


@dataclass(frozen=True, repr=False)
class Act(Step):
    """An activation, or a layer that does nothing in eval mode; `prelu_each` has a slope for each channel."""

    how: str = "relu"

    def module(self, shape: Shape) -> nn.Module:
        return nn.PReLU(shape[0]) if self.how == "prelu_each" else ACTIVATIONS[self.how]()


POINTWISE = {
    "abs": torch.abs,
    "square": torch.square,
    "exp": lambda x: torch.exp(-x.abs()),
    "sqrt": lambda x: (x * x + 0.1).sqrt(),
    "pow": lambda x: x.clamp(min=0.0, max=2.0) ** 1.5,
    "affine": lambda x: 1.5 * (2.0 - x) / 3,
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "masked": lambda x: x.masked_fill(x < 0, 0.25),
    "clamp_": lambda x: (x + 0).clamp_(-1.0, 1.5),
    "channel_norm": lambda x: F.normalize(x, dim=1),
    "pixel_norm": lambda x: F.normalize(x.flatten(2), dim=2).reshape(x.shape),
    "relu_of_neg": lambda x: torch.cat([F.relu(x), F.relu(-x)], 1),
    "erf": torch.erf,
    "sin": torch.sin,
    "log1p": lambda x: torch.log1p(x.abs()),
    "reciprocal": lambda x: (x.abs() + 1.0).reciprocal(),
    "itself": lambda x: x * torch.sigmoid(x) + x,
}


@dataclass(frozen=True, repr=False)
class Pointwise(Step):
    """Functions of each element, of it and itself, or of all channels at a pixel."""

    how: str

    def module(self, shape: Shape) -> nn.Module:
        return Function(self.how)


class Function(nn.Module):
    """Calls a function of the list."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x):
        return POINTWISE[self.how](x)


@dataclass(frozen=True, repr=False)
class Pool(Step):
    """A pool with a window, or to maps of a size."""

    how: Literal["max", "avg", "adaptive_max", "adaptive_avg"]
    size: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    ceil: bool = False

    def module(self, shape: Shape) -> nn.Module:
        if self.how.startswith("adaptive"):
            kinds = {
                "adaptive_max": (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
                "adaptive_avg": (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
            }
            return of_dims(shape, *kinds[self.how])(self.size)
        kinds = {
            "max": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
            "avg": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
        }
        return of_dims(shape, *kinds[self.how])(self.size, self.stride, self.padding, ceil_mode=self.ceil)


@dataclass(frozen=True, repr=False)
class Pad(Step):
    """Pads, or crops with negative numbers: before and after, the last dimension first."""

    how: Literal["constant", "reflect", "replicate", "circular"]
    amounts: tuple[int, ...]
    value: float | None = None

    def module(self, shape: Shape) -> nn.Module:
        return Padded(self)


class Padded(nn.Module):
    """Pads."""

    def __init__(self, step: Pad) -> None:
        super().__init__()
        self.how, self.amounts, self.value = step.how, step.amounts, step.value

    def forward(self, x):
        return F.pad(x, self.amounts, self.how, self.value)


@dataclass(frozen=True, repr=False)
class Resize(Step):
    """Interpolates to other sizes."""

    how: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear"]
    size: tuple[int, ...] | None = None
    factor: float | None = None

    def module(self, shape: Shape) -> nn.Module:
        return nn.Upsample(self.size, self.factor, self.how)


@dataclass(frozen=True, repr=False)
class Linear(Step):
    """A linear layer over features, or over channels at each pixel, which come last for it."""

    width: int
    bias: bool = True

    def module(self, shape: Shape) -> nn.Module:
        layer = nn.Linear(shape[0], self.width, bias=self.bias)
        return layer if len(shape) == 1 else Last(layer)

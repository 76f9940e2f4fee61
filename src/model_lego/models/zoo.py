"""Our own networks by name."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from model_lego.errors import BadConfig
from model_lego.models.alexnet import AlexNet
from model_lego.models.bottleneck import ResNet50
from model_lego.models.googlenet import GoogLeNet
from model_lego.models.lenet import LeNet5
from model_lego.models.mobilenet import MobileNet
from model_lego.models.names import unknown
from model_lego.models.network import Network, Wanted
from model_lego.models.published import from_a_file
from model_lego.models.resnet import ResNet20
from model_lego.models.simplenet import SimpleNet
from model_lego.models.vgg import VGG16
from model_lego.parts.origin import Builder

#: Our own networks.
ZOO: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        "lenet5": LeNet5,
        "alexnet": AlexNet,
        "vgg16": VGG16,
        "resnet20": ResNet20,
        "resnet50": ResNet50,
        "googlenet": GoogLeNet,
        "simplenet": SimpleNet,
        "mobilenet": MobileNet,
    }
)
#: Side of the images of our own networks, where they have no argument for it.
SMALL = 32


def names() -> list[str]:
    """All of them."""
    return list(ZOO)


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build one untrained; raises BadConfig."""
    if name not in ZOO:
        raise unknown(f"zoo:{name}", names())
    taken = inspect.signature(ZOO[name]).parameters
    for key, value in arguments.items():
        if key not in taken:
            raise BadConfig(f"zoo:{name} cannot be built with {key}={value!r}: it takes {', '.join(taken)}")
        wanted = {int: ("an integer", int), float: ("a number", int | float)}.get(taken[key].annotation)
        if wanted and (isinstance(value, bool) or not isinstance(value, wanted[1])):
            raise BadConfig(f"zoo:{name} cannot be built: '{key}' has to be {wanted[0]}, not {value!r}")
    return ZOO[name](**arguments)


def open_named(wanted: Wanted) -> Network:
    """Open one with the weights of a file, or untrained; raises BadConfig for published weights, of which none are."""
    if wanted.pretrained:
        raise BadConfig(f"zoo:{wanted.name} has no published weights; give weights=FILE")
    return from_a_file("zoo", build, wanted)


def image_shape(builder: Builder, _: nn.Module) -> tuple[int, int, int]:
    """Channels, height and width of the images that it is built for."""
    taken = inspect.signature(ZOO[builder.name.partition(":")[2]]).parameters
    given = {key: parameter.default for key, parameter in taken.items()} | dict(builder.arguments)
    side = int(given.get("image_size", SMALL))
    return int(given["in_channels"]), side, side

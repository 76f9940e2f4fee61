"""Networks by name: `zoo:`, `torchvision:` and `timm:`; nothing is ever downloaded."""

import difflib
import importlib.util
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
from model_lego.models.resnet import ResNet20
from model_lego.models.simplenet import SimpleNet
from model_lego.models.vgg import VGG16
from model_lego.parts.component import Builder

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
#: Names that a message lists.
MOST_NAMED = 12
#: Arguments that would fetch weights or name code.
FORBIDDEN = ("weights", "pretrained", "checkpoint_path", "pretrained_cfg", "weights_backbone", "cache_dir")


def build(name: str, **arguments: Any) -> nn.Module:
    """Build an untrained network, "zoo:vgg16" or "torchvision:resnet18"; raises BadConfig."""
    kind, _, plain = name.partition(":")
    for argument in FORBIDDEN:
        if arguments.get(argument):
            raise BadConfig(f"argument '{argument}' of {name} would fetch weights; load them from a file instead")
    makers = {"zoo": _zoo, "torchvision": _torchvision, "timm": _timm}
    if kind not in makers or not plain:
        hint = suggested(plain or kind)
        raise BadConfig(f"'{name}' names no network; use zoo:NAME, torchvision:NAME or timm:NAME{hint}")
    given = {key: value for key, value in arguments.items() if key not in FORBIDDEN}
    try:
        return makers[kind](plain, given)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        if isinstance(error, BadConfig):
            raise
        said = ", ".join(f"{key}={value!r}" for key, value in given.items())
        text = [key for key, value in given.items() if isinstance(value, str)]
        hint = f"; '{text[0]}' is text, and has to be a number perhaps" if text else ""
        raise BadConfig(f"{name} cannot be built with {said}: {error}{hint}") from error


def build_from(builder: Builder) -> nn.Module:
    """Build the uncut network that a component's file names."""
    return build(builder.name, **builder.arguments)


def image_shape(builder: Builder, model: nn.Module) -> tuple[int, int, int]:
    """Shape of the images (channels x height x width) that a network of this name was made for."""
    kind, _, name = builder.name.partition(":")
    if kind == "timm":
        channels, height, width = model.pretrained_cfg["input_size"]  # type: ignore[index]
        return int(builder.arguments.get("in_chans", channels)), int(height), int(width)
    if kind == "torchvision":
        import torchvision

        side = int(torchvision.models.get_model_weights(name).DEFAULT.transforms.keywords["crop_size"])
        return 3, side, side
    taken = inspect.signature(ZOO[name]).parameters
    given = {key: parameter.default for key, parameter in taken.items()} | dict(builder.arguments)
    side = int(given.get("image_size", SMALL))
    return int(given["in_channels"]), side, side


def _zoo(name: str, arguments: dict[str, Any]) -> nn.Module:
    if name not in ZOO:
        raise _unknown(f"zoo:{name}", list(ZOO))
    taken = inspect.signature(ZOO[name]).parameters
    for key, value in arguments.items():
        if key not in taken:
            raise BadConfig(f"zoo:{name} cannot be built with {key}={value!r}: it takes {', '.join(taken)}")
        wanted = {int: ("an integer", int), float: ("a number", int | float)}.get(taken[key].annotation)
        if wanted and (isinstance(value, bool) or not isinstance(value, wanted[1])):
            raise BadConfig(f"zoo:{name} cannot be built: '{key}' has to be {wanted[0]}, not {value!r}")
    return ZOO[name](**arguments)


def _torchvision(name: str, arguments: dict[str, Any]) -> nn.Module:
    import torchvision

    names = _torchvision_names()
    if name not in names:
        raise _unknown(f"torchvision:{name}", names)
    if name in ("googlenet", "inception_v3"):
        arguments = {"init_weights": False} | arguments
    model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    return model


def _timm(name: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise BadConfig("timm networks need the extra: pip install model-lego[timm]") from error
    if name not in timm.list_models():
        raise _unknown(f"timm:{name}", timm.list_models())
    model: nn.Module = timm.create_model(name, pretrained=False, **arguments)
    return model


def _torchvision_names() -> list[str]:
    import torchvision

    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _timm_names() -> list[str]:
    if importlib.util.find_spec("timm") is None:
        return []
    import timm

    names: list[str] = timm.list_models()
    return names


def _unknown(name: str, names: list[str]) -> BadConfig:
    near = difflib.get_close_matches(name.partition(":")[2], names, n=3)
    every = ", ".join(names[:MOST_NAMED]) + (f" … ({len(names)} in all)" if len(names) > MOST_NAMED else "")
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {every}"
    return BadConfig(f"'{name}' is unknown; {hint}")


def suggested(word: str) -> str:
    """The end of a message: the networks of that name or a similar one, by their whole names, if there are any."""
    known = {"zoo": list(ZOO), "torchvision": _torchvision_names(), "timm": _timm_names()}
    same = [f"{kind}:{word}" for kind, names in known.items() if word in names]
    near = [f"{kind}:{name}" for kind, names in known.items() for name in difflib.get_close_matches(word, names, n=1)]
    found = list(dict.fromkeys(same + near))
    return f"; did you mean {' or '.join(found)}?" if found else ""

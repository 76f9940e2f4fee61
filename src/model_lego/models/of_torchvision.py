"""Networks of torchvision by name."""

from typing import Any

from torch import nn

from model_lego.models.names import unknown
from model_lego.parts.component import Builder


def names() -> list[str]:
    """The classifiers that torchvision has."""
    import torchvision

    found: list[str] = torchvision.models.list_models(module=torchvision.models)
    return found


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build one untrained; raises BadConfig for a name that is not there, and as torchvision does."""
    import torchvision

    if name not in names():
        raise unknown(f"torchvision:{name}", names())
    if name in ("googlenet", "inception_v3"):
        arguments = {"init_weights": False} | arguments
    model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    return model


def image_shape(builder: Builder, _: nn.Module) -> tuple[int, int, int]:
    """Channels, height and width of the images that its published weights were trained for."""
    import torchvision

    weights = torchvision.models.get_model_weights(builder.name.partition(":")[2]).DEFAULT
    side = int(weights.transforms.keywords["crop_size"])
    return 3, side, side

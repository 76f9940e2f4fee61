"""Networks of timm by name."""

import importlib.util
from typing import Any

from torch import nn

from model_lego.errors import BadConfig
from model_lego.models.names import unknown
from model_lego.parts.component import Builder


def names() -> list[str]:
    """The networks that timm has; none where it is not installed."""
    if importlib.util.find_spec("timm") is None:
        return []
    import timm

    found: list[str] = timm.list_models()
    return found


def build(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build one untrained; raises BadConfig for a name that is not there, and as timm does."""
    try:
        import timm
    except ImportError as error:
        raise BadConfig("timm networks need the extra: pip install model-lego[timm]") from error
    if name not in names():
        raise unknown(f"timm:{name}", names())
    model: nn.Module = timm.create_model(name, pretrained=False, **arguments)
    return model


def image_shape(builder: Builder, model: nn.Module) -> tuple[int, int, int]:
    """Channels, height and width of the images that its published weights were trained for."""
    channels, height, width = model.pretrained_cfg["input_size"]  # type: ignore[index]
    return int(builder.arguments.get("in_chans", channels)), int(height), int(width)

"""How an untrained network is built of plain arguments: what is refused, and what a library's refusal becomes."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from model_lego.errors import BadConfig, LegoError

#: Arguments that would fetch weights or name code.
FORBIDDEN = ("weights", "pretrained", "checkpoint_path", "pretrained_cfg", "weights_backbone", "cache_dir")


def built(name: str, make: Callable[[dict[str, Any]], nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Build the network of a name; raises BadConfig for arguments that fetch something, or that it does not take."""
    for argument in FORBIDDEN:
        if arguments.get(argument):
            raise BadConfig(f"argument '{argument}' of {name} would fetch weights; load them from a file instead")
    given = {key: value for key, value in arguments.items() if key not in FORBIDDEN}
    try:
        return make(given)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        if isinstance(error, LegoError):
            raise
        said = ", ".join(f"{key}={value!r}" for key, value in given.items())
        text = [key for key, value in given.items() if isinstance(value, str)]
        hint = f"; '{text[0]}' is text, and has to be a number perhaps" if text else ""
        raise BadConfig(f"{name} cannot be built with {said}: {error}{hint}") from error

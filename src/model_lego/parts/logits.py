"""The logits of what a network gives: a tensor, or a tuple, a mapping or an object with a tensor of logits in it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from model_lego.errors import RefusedError

#: What the logits are called in a mapping, the first that is there.
NAMES = ("logits", "output", "out", "pred", "prediction", "predictions")


def main_logits(output: Any) -> Tensor:
    """The logits of what a network gives, batch x classes; see `place_of_logits`. Raises RefusedError.

    A forward that squeezes all dimensions gives those of a single image without the batch's.
    """
    logits: Tensor = place_of_logits(output)[0]
    return logits[None] if isinstance(logits, Tensor) and logits.dim() == 1 else logits


def place_of_logits(output: Any, path: str = "") -> tuple[Any, str]:
    """The element of an output that are the logits, and where it is, in words (empty: it is all there is).

    Of an object or a mapping it is the one called logits (or as `NAMES` says), else the only one; of a tuple or a list
    the first. Raises RefusedError for a mapping in which none is called so.
    """
    if (logits := getattr(output, "logits", None)) is not None:
        return place_of_logits(logits, f"{path}.logits")
    if isinstance(output, Mapping):
        names = [name for name in NAMES if name in output] or (list(output) if len(output) == 1 else [])
        if not names:
            raise RefusedError(
                f"the network gives a mapping of {', '.join(map(repr, output))}, none of which is called logits; let "
                "its forward give the logits alone"
            )
        return place_of_logits(output[names[0]], f"{path}[{names[0]!r}]")
    if isinstance(output, tuple | list):
        if not output:
            raise RefusedError(f"the network gives an empty {type(output).__name__}; it has to give logits")
        return place_of_logits(output[0], f"{path}[0]" if len(output) > 1 else path)
    return output, path

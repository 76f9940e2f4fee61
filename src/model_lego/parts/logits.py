"""The logits of what a network gives."""

from typing import Any

from torch import Tensor


def main_logits(output: Any) -> Tensor:
    """The logits of what a network gives, batch x classes: some networks give auxiliary logits after them."""
    logits: Tensor = output if isinstance(output, Tensor) else output[0]
    return logits

"""What runs a training: an Accelerator of Hugging Face's accelerate, for the time of one training.

accelerate chooses the device and does what mixed precision needs: the precision of the forward, scaled gradients, steps
left out where these overflow.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from model_lego.errors import BadConfig

if TYPE_CHECKING:
    from accelerate import Accelerator


@contextmanager
def engine(amp: bool | Literal["auto"]) -> Iterator["Accelerator"]:
    """An Accelerator; the surrounding program's, if it has one, is as it was afterwards. Raises BadConfig.

    accelerate keeps one state for the whole process, with one precision. It is set aside here, since trainings of
    several precisions may follow each other.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadConfig("a training runs in one process; start it without torchrun or accelerate launch")
    states = [each._shared_state for each in (AcceleratorState, GradientState, PartialState)]
    kept = [dict(state) for state in states]
    AcceleratorState._shared_state.clear()
    GradientState._shared_state.clear()
    try:
        device = PartialState().device
        yield Accelerator(mixed_precision=precision(amp, device, bf16=has_bf16(device)))
    finally:
        for state, before in zip(states, kept, strict=True):
            state.clear()
            state.update(before)


def precision(amp: bool | Literal["auto"], device: torch.device, *, bf16: bool) -> str:
    """Name of the precision, as accelerate has it, on a device that can compute in bfloat16 or cannot."""
    wanted = device.type != "cpu" if amp == "auto" else amp
    if not wanted:
        return "no"
    return "bf16" if bf16 else "fp16"


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16."""
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)

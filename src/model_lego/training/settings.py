"""How a network is trained."""

import math
from dataclasses import dataclass
from typing import Literal

from model_lego.errors import BadConfig

_CHOICES = {"schedule": ("one-cycle", "cosine"), "optimizer": ("sgd", "adamw"), "amp": (True, False, "auto")}


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a network is trained: SGD with Nesterov momentum or AdamW, no decay of biases and norms.

    `momentum` is of SGD only; AdamW, which transformers want, has torch's own betas. `clip` is the largest norm of a
    step's gradient (0: any), `crop` the zero padding in pixels of random crops, `ema` the decay of averaged weights
    (0: none). `amp` runs the forward in bfloat16, on a GPU without it in float16 with scaled gradients; "auto" does so
    where there is a GPU.
    Raises BadConfig.
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: Literal["one-cycle", "cosine"] = "one-cycle"
    smoothing: float = 0.0
    clip: float = 0.0
    crop: int = 4
    flip: bool = True
    ema: float = 0.0
    amp: bool | Literal["auto"] = "auto"
    channels_last: bool = False
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                *others, last = map(repr, known)
                raise BadConfig(f"{name} '{getattr(self, name)}' is unknown; use {', '.join(others)} or {last}")
        for name in ("epochs", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise BadConfig(f"{name.replace('_', ' ')} {value} has to be more than 0")
        for name in ("momentum", "ema", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise BadConfig(f"{name} {getattr(self, name)} has to be at least 0 and less than 1")
        if self.crop < 0 or self.weight_decay < 0 or not self.clip >= 0:
            raise BadConfig("crop, clip and weight decay cannot be negative")

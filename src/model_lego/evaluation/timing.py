"""How long one photo takes a network here, beside others: they take turns, so that what else runs slows down all."""

import statistics
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from model_lego.evaluation.baselines import Contender

#: Turns that each network has; the first warms up, of the others the median counts.
ROUNDS = 8
#: Seconds after which no further round begins.
ENOUGH = 10.0


def photo_times(contenders: Sequence[Contender], image: Tensor) -> list[float]:
    """Milliseconds that an image, 1 x C x H x W, takes each contender; a network that several share runs once."""
    keys = [(id(contender.model), contender.preprocessing) for contender in contenders]
    taken: dict[object, list[float]] = {key: [] for key in keys}
    runs = dict(zip(keys, contenders, strict=True))
    started = time.perf_counter()
    for number in range(ROUNDS):
        if number > 1 and time.perf_counter() - started > ENOUGH:
            break
        for key, contender in runs.items():
            taken[key].append(_milliseconds(contender, image))
    return [statistics.median(taken[key][1:]) for key in keys]


def _milliseconds(contender: Contender, image: Tensor) -> float:
    started = time.perf_counter()
    contender.logits(image)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started)

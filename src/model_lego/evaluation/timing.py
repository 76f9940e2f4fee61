"""How long one photo takes a network here, beside others: they take turns, so that what else runs slows down all."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model_lego.evaluation.baselines import Contender
from model_lego.processes import Group, in_all

#: Turns that each network has; the first warms up, of the others the median counts.
ROUNDS = 8
#: Seconds after which no further round begins.
ENOUGH = 10.0


@dataclass(slots=True, eq=False)
class Stopwatch:
    """What a photo takes each contender, by the first image that is seen; nan where this is not `wanted`."""

    contenders: Sequence[Contender]
    wanted: bool
    milliseconds: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.milliseconds = [math.nan] * len(self.contenders)

    def add(self, images: Tensor) -> None:
        """Measure by the first of some images, as the part takes them, where nothing was measured before."""
        if self.wanted and math.isnan(self.milliseconds[0]):
            self.milliseconds = photo_times(self.contenders, images[:1])

    def gather(self, group: Group) -> None:
        """All processes have the times of the first."""
        self.milliseconds = in_all(lambda: self.milliseconds, group)[0]


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

"""What is noted of a measurement: the mean over the seeds, an interval over test images, the spread over the seeds."""

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import NormalDist, mean
from typing import Any

import numpy as np
import torch
from torch import Tensor

import model_lego as ml

#: Resampled test sets, and the share of their accuracies within an interval.
DRAWS, LEVEL = 10_000, 0.95
#: Images that run at once.
CHUNK = 250


@torch.no_grad()
def run(model: Callable[[Tensor], Any], images: Tensor) -> Any:
    """Outputs for all images: one tensor, or as many as the model gives."""
    found = [model(some.contiguous(memory_format=torch.channels_last)) for some in images.split(CHUNK)]
    if isinstance(found[0], Tensor):
        return torch.cat(found)
    return tuple(torch.cat(column) for column in zip(*found, strict=True))


def right(logits: Tensor, places: Tensor) -> Tensor:
    """Whether each image's largest logit is that of its class."""
    return logits.argmax(1) == places


def figure(name: str, rights: Sequence[Tensor], **more: Any) -> dict[str, Any]:
    """A row of a table: accuracy in %, of one bool an image and seed; with what else there is to say."""
    each = torch.stack([answers.double() for answers in rights]).mean(0)
    low, high = bootstrap(each)
    seeds = [100 * float(answers.double().mean()) for answers in rights]
    return {"name": name, "mean": sum(seeds) / len(seeds), "interval": [low, high], "seeds": seeds, **more}


def bootstrap(shares: Tensor) -> tuple[float, float]:
    """Percentile interval, in %, of the mean over resampled test sets of a number an image (share of right seeds).

    The number takes few values; how often each is drawn is multinomial. Drawn with a fixed seed.
    """
    values, counts = shares.unique(return_counts=True)
    drawn = np.random.default_rng(0).multinomial(len(shares), (counts / len(shares)).double().numpy(), size=DRAWS)
    low, high = np.quantile(drawn @ values.numpy(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) / len(shares)
    return 100 * float(low), 100 * float(high)


def wilson(percent: float, images: int) -> float:
    """Half the 95 % Wilson interval of an accuracy in % that was measured on so many images, in points."""
    share, z = percent / 100, NormalDist().inv_cdf((1 + LEVEL) / 2)
    return 100 * z * sqrt(share * (1 - share) / images + z**2 / (4 * images**2)) / (1 + z**2 / images)


def cell(percents: Sequence[float], images: int) -> str:
    """Accuracies of several samples on one line: mean, half its interval over so many images, least and largest."""
    if not percents:
        return ""
    middle = mean(percents)
    spread = f" ({min(percents):.1f} to {max(percents):.1f})" if len(percents) > 1 else ""
    return f"{middle:.1f} ± {wilson(middle, images):.1f}{spread}"


def cost(parts: Sequence[ml.Component]) -> dict[str, float]:
    """Parameters and multiply-adds of components together, also in % of their sources'; of a seed's parts."""
    sources = {part.origin.source_digest: part.origin.cost_before for part in parts}
    found: dict[str, float] = {}
    for name in ("parameters", "macs"):
        found[name] = sum(getattr(part.origin.cost_after, name) for part in parts)
        found[f"{name}_percent"] = 100 * found[name] / sum(getattr(cost, name) for cost in sources.values())
    return found

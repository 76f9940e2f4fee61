"""Judge a part beside what it was made of, on the same images: the verdict that comes with every result."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model_lego.data.batching import Images
from model_lego.parts.verdict import DoubtfulResult, Making, Verdict
from model_lego.verdicts.metrics import LEVEL, area, difference_interval

#: Images that a verdict rests on at most: its interval is some three points wide then.
JUDGED = 500
#: Images that run at once: of photographs more take more memory than a repair.
CHUNK = 16
#: Resampled sets of the difference between two areas under a curve.
AREA_DRAWS = 500

#: From images as they are judged to logits, a column for each class of the part.
Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verdict rests on beside its figures, see `Verdict`."""

    making: Making
    reference: str
    held_out: bool
    fitted: int | None = None
    kept: float | None = None

    def verdict(self, classes: int, own: float, theirs: float, interval: tuple[float, float], images: int) -> Verdict:
        """The verdict with these figures."""
        return Verdict(
            making=self.making,
            reference=self.reference,
            classes=classes,
            own=own,
            theirs=theirs,
            interval=interval,
            images=images,
            held_out=self.held_out,
            fitted=self.fitted,
            kept=self.kept,
        )


@torch.no_grad()
def judge(own: Answer, theirs: Answer, images: Images, places: Tensor, basis: Basis) -> Verdict | None:
    """Compare two answers on images, N x C x H x W, whose classes are at `places` of the part, -1 for other classes.

    With a single class the area under the ROC curve of its logit is compared, which takes images of other classes.
    None where there is nothing to compare.
    """
    return compared(answers(own, images), answers(theirs, images), places, basis)


def compared(mine: Tensor, theirs: Tensor, places: Tensor, basis: Basis) -> Verdict | None:
    """The verdict on logits, N x classes, of the part and its reference, as of `judge`."""
    classes = mine.shape[1]
    if classes == 1:
        return _by_area(mine[:, 0], theirs[:, 0], places == 0, basis)
    known = places >= 0
    right = mine[known].argmax(1) == places[known]
    theirs_right = theirs[known].argmax(1) == places[known]
    return by_hits(right, theirs_right, classes, basis)


def by_hits(right: Tensor, theirs_right: Tensor, classes: int, basis: Basis) -> Verdict | None:
    """The verdict on answers that were right or not (bool), of the part and its reference; None without images."""
    total = len(right)
    if not total:
        return None
    gained, lost = int((theirs_right & ~right).sum()), int((right & ~theirs_right).sum())
    own, theirs = (100 * float(each.double().mean()) for each in (right, theirs_right))
    return basis.verdict(classes, own, theirs, difference_interval(gained, lost, total), total)


def answers(answer: Answer, images: Images) -> Tensor:
    """All answers, N x classes, in double precision on the CPU."""
    return torch.cat(
        [answer(images[start : start + CHUNK]).double().cpu() for start in range(0, max(1, len(images)), CHUNK)]
    )


def warn_of(verdict: Verdict | None, *, stacklevel: int = 3) -> None:
    """Warn of what is doubtful, with what to try in Python."""
    for concern in verdict.concerns if verdict is not None else ():
        warnings.warn(f"{concern.what}; try {concern.python}", DoubtfulResult, stacklevel=stacklevel + 1)


def _by_area(own: Tensor, theirs: Tensor, mine: Tensor, basis: Basis) -> Verdict | None:
    if not bool(mine.any()) or bool(mine.all()):
        return None
    rng, drawn = np.random.default_rng(0), []
    for _ in range(AREA_DRAWS):
        some = torch.from_numpy(rng.integers(0, len(mine), len(mine)))
        if bool(mine[some].any()) and not bool(mine[some].all()):
            drawn.append(100 * (area(theirs[some], mine[some]) - area(own[some], mine[some])))
    low, high = np.quantile(drawn or [0.0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return basis.verdict(1, 100 * area(own, mine), 100 * area(theirs, mine), (float(low), float(high)), len(mine))

"""Which strength, and which head: cross-validation on the calibration images.

All kinds are judged on the same folds. The strength with which a fold is judged is the one that did best on the *other*
folds, so that no image helps to choose the strength that judges it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.heads.linear import Fit

#: Parts into which the calibration images are divided.
FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of head: how it is fitted to rows of its inputs and their classes, once a strength, and what it minimises.

    `loss` takes scores (rows x classes) and labels and gives one number a row.
    """

    inputs: Tensor
    fits: Callable[[Tensor, Tensor], list[Fit]]
    loss: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What cross-validation found: scores of each row by a fit that has not seen it, and the strength for all rows."""

    scores: Tensor  # rows x classes
    right: Tensor  # bool, one a row
    choice: int  # number of the strength

    @property
    def accuracy(self) -> float:
        """Share of the rows that were right, in %."""
        return 100 * int(self.right.sum()) / len(self.right)


def folds_of(labels: Tensor, *, count: int, seed: int) -> Tensor:
    """Fold of each row, the rows of each class dealt out evenly and at random."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    order = order[torch.argsort(labels[order], stable=True)]  # class by class, so that dealing in turn is even
    fold = torch.empty(len(labels), dtype=torch.int64)
    fold[order] = torch.arange(len(labels)) % count
    return fold


def judge(kind: Kind, labels: Tensor, fold: Tensor) -> Judged:
    """Cross-validate a kind of head on given folds."""
    count = int(fold.max()) + 1
    held: list[Tensor] = []  # strengths x rows x classes, filled fold by fold
    for number in range(count):
        out = fold == number
        scores = torch.stack([fit(kind.inputs[out]) for fit in kind.fits(kind.inputs[~out], labels[~out])])
        if not held:
            held = [scores.new_zeros(len(labels), scores.shape[2]) for _ in scores]
        for whole, some in zip(held, scores, strict=True):
            whole[out] = some
    losses = torch.stack([kind.loss(scores, labels) for scores in held])  # strengths x rows
    by_fold = torch.stack([losses[:, fold == number].sum(1) for number in range(count)], 1)
    total = by_fold.sum(1, keepdim=True)
    scores = torch.stack(held)[(total - by_fold).argmin(0)[fold], torch.arange(len(labels))]
    return Judged(scores, scores.argmax(1) == labels, int(total.argmin()))


def preferred(judged: Mapping[str, Judged], favourites: Sequence[str]) -> str:
    """The kind to take: the first favourite that is there, unless another is clearly better, then the most accurate.

    Clearly: by more than two standard errors of the paired differences. With a few hundred images the most accurate is
    often so by chance.
    """
    best = max(judged, key=lambda name: judged[name].accuracy)  # the first of equals
    favourite = next((name for name in favourites if name in judged), best)
    return best if _behind(judged[favourite], judged[best]) else favourite


def _behind(one: Judged, best: Judged) -> bool:
    gap = best.right.double() - one.right.double()
    return bool(gap.mean() > 2 * gap.std(correction=0) / len(gap) ** 0.5)

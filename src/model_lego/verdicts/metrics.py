"""What is measured of answers: intervals of accuracies, calibration, how well a score tells samples apart."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

#: Share of resampled test sets whose accuracy lies in an interval.
LEVEL = 0.95
#: Bins of confidence of the expected calibration error.
BINS = 15


@dataclass(frozen=True, slots=True)
class Outsiders:
    """How well the largest logit tells samples of a part's classes from others.

    `auroc`: area under the ROC curve; `fpr95`: share of the others, in %, that score as high as the upper 95 % of the
    part's own.
    """

    auroc: float
    fpr95: float
    samples: int  # of other classes


def interval(right: int, total: int) -> tuple[float, float]:
    """Percentile bootstrap interval of an accuracy in %; nan without samples.

    Of right and wrong answers the accuracy of a resampled test set is binomial, so nothing has to be drawn.
    """
    from scipy.stats import binom

    if not total:
        return math.nan, math.nan
    low, high = binom.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], total, right / total)
    return 100 * float(low) / total, 100 * float(high) / total


def difference_interval(gained: int, lost: int, total: int) -> tuple[float, float]:
    """Interval of the difference of two accuracies on the same samples, in points, by Bonett and Price (2012).

    `gained` samples are right with the first network only, `lost` with the second only. One more is counted on either
    side, so that few samples without any difference do not seem to prove that there is none.
    """
    if not total:
        return math.nan, math.nan
    more, less = (gained + 1) / (total + 2), (lost + 1) / (total + 2)
    middle, spread = more - less, math.sqrt((more + less - (more - less) ** 2) / (total + 2))
    half = spread * NormalDist().inv_cdf((1 + LEVEL) / 2)
    return 100 * max(-1.0, middle - half), 100 * min(1.0, middle + half)


def believed_losses(theirs: Tensor, own: Tensor) -> Tensor:
    """What a network loses on each sample by another one's own probabilities, whose logits are `theirs` (0..1).

    Both are samples x classes. Where the two answer alike nothing is lost; elsewhere what the other one believes in its
    own answer beyond the answer given. Unlike a count of labels it hardly depends on which few samples there are: most
    answers that change are those between which the other one could hardly decide.
    """
    given = own.argmax(1)[:, None]
    believed = theirs.softmax(1)
    return believed.amax(1) - believed.gather(1, given)[:, 0]


def exchanged_losses(theirs: Tensor, own: Tensor, places: Tensor) -> Tensor:
    """What a network loses by the labels at `places`, with its errors exchanged between samples of one class.

    An error is what it adds to another one's logits, `theirs`; both are samples x classes. Each sample gets the errors
    of all of its class, of which the labels tell what is lost: m errors on m samples tell more than m answers. The mean
    over the samples is the share that is lost, and their spread is its standard error's (each sample counts as itself
    and as the giver of its error, as in a U-statistic).
    """
    losses = torch.zeros(len(places), dtype=torch.float64)
    errors = own - theirs
    for place in places.unique():
        mine = (places == place).nonzero()[:, 0]
        with_error = theirs[mine][:, None] + errors[mine][None]  # samples x errors x classes
        lost = (theirs[mine].argmax(1) == place).double()[:, None] - (with_error.argmax(2) == place).double()
        losses[mine] = lost.mean(1) + lost.mean(0) - lost.mean()
    return losses


def mean_and_error(losses: Tensor) -> tuple[float, float]:
    """The mean of losses in points, and its standard error; nan without samples."""
    if not len(losses):
        return math.nan, math.nan
    spread = losses.double().std(correction=0) / math.sqrt(len(losses))
    return 100 * float(losses.double().mean()), 100 * float(spread)


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """Expected calibration error in points: how far confidence is from accuracy, over 15 bins; nan without samples.

    `confidence` is that of each answer (0..1), `right` whether it was right.
    """
    from torchmetrics.functional.classification import binary_calibration_error

    if not len(confidence):
        return math.nan
    order = torch.argsort(confidence.double() + 2 * right)  # rounding shall not depend on the order of the samples
    return 100 * float(binary_calibration_error(confidence.double()[order], right.long()[order], n_bins=BINS))


def separation(logits: Tensor, where: Tensor) -> tuple[float, ...]:
    """Area under the ROC curve of each class's logit against all other samples; nan where one side has no samples.

    `logits` is samples x classes, `where` the class of each sample, -1 for other classes.
    """
    return tuple(area(column, where == number) for number, column in enumerate(logits.unbind(1)))


def area(score: Tensor, mine: Tensor) -> float:
    """Area under the ROC curve of a score for being one of `mine` (bool); nan where one side has no samples."""
    from torchmetrics.functional.classification import binary_auroc

    if not bool(mine.any()) or bool(mine.all()):
        return math.nan
    rank = torch.unique(score, return_inverse=True)[1].double()  # of bare logits a float32 sigmoid would be taken
    return float(binary_auroc(rank / max(1.0, float(rank.max())), mine.long()))


def outsiders(score: Tensor, mine: Tensor) -> Outsiders | None:
    """Tell the samples of a part's classes (`mine`, bool) from others by a score; None where one side is empty."""
    if not bool(mine.any()) or bool(mine.all()):
        return None
    own, others = score[mine].double().sort().values, score[~mine].double()
    threshold = own[math.floor(0.05 * len(own))]  # at least 95 % of the own samples score as high
    return Outsiders(area(score, mine), 100 * float((others >= threshold).double().mean()), len(others))

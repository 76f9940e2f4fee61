"""Two heads added up: the convex map of the logits and the least squares on the features.

They err on different images. Each is brought to the scale of logits by itself first: with one likelihood for their sum,
the sum is right with little of one of them, and this one's say is lost.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.heads.cross_validation import Judged
from model_lego.heads.linear import Fit

#: The kinds that are added up.
BLENDED = ("affine", "ridge")
#: Factors that bring least-squares scores, which lie about 0 to 1, to the scale of logits.
FACTORS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)


def factor_of(scores: Tensor, labels: Tensor) -> float:
    """The factor with which scores (rows x classes) are the likeliest logits of the rows' classes."""
    losses = torch.stack([F.cross_entropy(scores * factor, labels) for factor in FACTORS])
    return FACTORS[int(losses.argmin())]


def blended(affine: Judged, ridge: Judged, labels: Tensor, factor: float) -> Judged:
    """The mean of both kinds' logits, of fits that have not seen the rows."""
    scores = (affine.scores + factor * ridge.scores) / 2
    return Judged(scores, scores.argmax(1) == labels, 0)


def blend_of(affine: Fit, logits_of: Fit, ridge: Fit, factor: float) -> Fit:
    """The mean of both as one map of the features, `logits_of` being the logits as a map of these."""
    weight = affine.weight @ logits_of.weight + factor * ridge.weight
    shift = affine(logits_of.shift) + factor * ridge.shift
    strength = {"affine": affine.strength, "ridge": ridge.strength, "factor": factor}
    return Fit(weight / 2, shift / 2, strength)

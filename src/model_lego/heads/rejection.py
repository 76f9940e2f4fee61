"""One more class, "none of these": a logit that is constant, so that it wins where all others are below it."""

import torch
from torch import Tensor

from model_lego.parts.assembly import Head


def threshold_of(scores: Tensor, share: float) -> float:
    """The largest threshold that rejects at most a share of images by their largest score.

    `scores` is images x classes. An image is rejected when its largest score is below the threshold.
    """
    largest = scores.double().max(1).values.sort().values
    return float(largest[int(share * len(largest))])


def with_outsiders(head: Head, threshold: float) -> Head:
    """The head with a further row: weight zero, shift the threshold."""
    weight = torch.diag(head.weight) if head.weight.dim() == 1 else head.weight
    row = weight.new_zeros(1, weight.shape[1])
    shift = torch.cat([head.shift, head.shift.new_tensor([threshold])])
    return Head(head.kind, torch.cat([weight, row]), shift, reads=head.reads)

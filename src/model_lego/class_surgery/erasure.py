"""Erasing concepts from what a linear layer gives, in closed form.

A linear probe can tell a concept only if its mean differs (Belrose et al., LEACE, NeurIPS 2023). Here the means are
made equal by the change of the layer that moves the outputs of all other images least.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

#: Ridge on the covariance of the inputs, as a fraction of their mean variance.
STRENGTH = 1e-4


@dataclass(slots=True, eq=False)
class ConceptMoments:
    """Sums over images, in float64: inputs of images of no concept (number 0) and of each; products of the former.

    `counts` has 1 + concepts numbers, `sums` is 1 + concepts x d, `products` d x d.
    """

    counts: Tensor
    sums: Tensor
    products: Tensor

    @staticmethod
    def empty(inputs: int, concepts: int) -> "ConceptMoments":
        """Of no image."""
        shapes = ((concepts + 1,), (concepts + 1, inputs), (inputs, inputs))
        return ConceptMoments(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    def add(self, inputs: Tensor, labels: Tensor) -> None:
        """Add images: inputs (images x d), labels (0 for no concept, 1 and so on for one of them)."""
        x = inputs.double().cpu()
        self.counts += torch.bincount(labels, minlength=len(self.counts))
        self.sums.index_add_(0, labels, x)
        self.products += x[labels == 0].T @ x[labels == 0]


def erased(weight: Tensor, bias: Tensor, seen: ConceptMoments, *, strength: float = STRENGTH) -> tuple[Tensor, Tensor]:
    """A layer (outputs x d, outputs) that gives each concept that was seen, on the average, what it gives other images.

    Minimises the mean square by which the outputs of the other images change. So no linear probe on the outputs tells
    the concepts on these images better than a constant does.
    """
    found = seen.counts > 0
    means = seen.sums[found] / seen.counts[found, None]
    middle, apart = means[0], (means[1:] - means[0]).T  # d x concepts
    covariance = seen.products / seen.counts[0] - torch.outer(middle, middle)
    covariance.diagonal().add_(strength * covariance.diagonal().mean().clamp(min=1e-12))
    told = torch.linalg.solve(covariance, apart)
    told = told @ torch.linalg.pinv(told.T @ apart, hermitian=True)  # by 1 on the average where it is, by 0 elsewhere
    adds = weight.double().cpu() @ apart
    return weight - (adds @ told.T).to(weight), bias + (adds @ (told.T @ middle)).to(bias)

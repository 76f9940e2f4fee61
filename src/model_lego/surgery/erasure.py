"""Erasing a concept from what a linear layer gives, in closed form (Belrose et al., LEACE, NeurIPS 2023)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: Ridge of the direction by which a concept is told, as a fraction of the mean variance of the inputs.
STRENGTH = 1e-2


@dataclass(slots=True, eq=False)
class Moments:
    """Sums over images: of inputs (d), of concepts (k), of their products (d x d, d x k), in float64."""

    count: int
    x: Tensor
    z: Tensor
    xx: Tensor
    xz: Tensor

    @staticmethod
    def empty(inputs: int, concepts: int) -> "Moments":
        """Of no image."""
        shapes = ((inputs,), (concepts,), (inputs, inputs), (inputs, concepts))
        return Moments(0, *(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    def add(self, inputs: Tensor, labels: Tensor) -> None:
        """Add images: inputs (images x d), labels (0 for no concept, 1 and so on for one of them)."""
        x = inputs.double().cpu()
        z = F.one_hot(labels, len(self.z) + 1)[:, 1:].double()
        self.count += len(x)
        self.x += x.sum(0)
        self.z += z.sum(0)
        self.xx += x.T @ x
        self.xz += x.T @ z


def erased(weight: Tensor, bias: Tensor, seen: Moments, *, strength: float = STRENGTH) -> tuple[Tensor, Tensor]:
    """A layer (outputs x d, outputs) whose outputs have with each concept the mean that they have with none.

    So no linear probe on them tells the concepts on these images better than a constant does. From the inputs the
    concepts are told by ridge regression, and what a concept adds to the outputs is taken away as far as it is told:
    images that look like none of them keep their outputs (so others are the centre here, not the mean of all).
    """
    mean, share = seen.x / seen.count, seen.z / seen.count
    cross = seen.xz / seen.count - torch.outer(mean, share)
    covariance = seen.xx / seen.count - torch.outer(mean, mean)
    covariance.diagonal().add_(strength * covariance.diagonal().mean().clamp(min=1e-12))
    told = torch.linalg.solve(covariance, cross)
    told = told @ torch.linalg.pinv(told.T @ cross, hermitian=True)  # so that each concept is told as 1 on the average
    adds = weight.double().cpu() @ cross
    others = (seen.x - seen.xz.sum(1)) / (seen.count - seen.z.sum())
    return weight - (adds @ told.T).to(weight), bias + (adds @ (told.T @ others)).to(bias)

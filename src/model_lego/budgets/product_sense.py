"""How much the logits depend on each channel over which queries and keys are multiplied, in closed form.

A channel adds the products of its queries and keys to the scores. What the logits lose without them is, to first
order, the sum over positions of the query times the derivative by it: the derivative by all scores, times what it adds
to each.
"""

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.channels import Product


class ProductSum:
    """The running sum of one product in a network that was traced with so many images."""

    def __init__(self, product: Product, traced: int) -> None:
        self.labels = lab.along_batch(product.operands[0], traced, 1)
        self.channels, self.places = self.labels.reshape(-1).unique(return_inverse=True)
        self.change = torch.zeros(len(self.channels), dtype=torch.float64)

    def add(self, queries: Tensor, slope: Tensor, images: int) -> None:
        """Add queries of some images, and the derivatives by them."""
        alike = [dim for dim in range(1, queries.dim()) if self.labels.shape[dim] == 1]
        added = (queries * slope).sum(alike) if alike else queries * slope
        each = added.reshape(images, -1, len(self.places)).sum(1).double().cpu()
        lost = each.new_zeros(images, len(self.channels)).index_add_(1, self.places, each)
        self.change += lost.square().sum(0)

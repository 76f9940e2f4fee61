"""How alike the routes of classes are: Jaccard indices, and the hierarchy that they make."""

import torch
from torch import Tensor


def jaccard(used: Tensor) -> Tensor:
    """Jaccard index of each two rows of `used` (subjects x channels, bool); nan where neither uses anything."""
    counted = used.double()
    both = counted @ counted.T
    each = counted.sum(1)
    return both / (each[:, None] + each[None, :] - both)


def mean_defined(overlaps: Tensor) -> Tensor:
    """Mean over the layers (layers x subjects x subjects) that are defined; of a subject with itself it is 1."""
    mean = overlaps.nanmean(0).nan_to_num(0.0)
    mean.fill_diagonal_(1.0)
    return mean


def linkage(distances: Tensor) -> Tensor:
    """The linkage matrix of a symmetric distance matrix, averaged, as scipy gives it: (subjects - 1) x 4."""
    if len(distances) < 2:
        return torch.zeros(0, 4, dtype=torch.float64)
    from scipy.cluster.hierarchy import linkage as of_condensed

    row, column = torch.triu_indices(len(distances), len(distances), 1)
    return torch.from_numpy(of_condensed(distances[row, column].numpy(), method="average"))

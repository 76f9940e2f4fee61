"""Label algebra: which channel stands at each position of a value.

The labels of a value are an int64 tensor with as many dimensions as the value. A dimension has size 1 where moving
along it does not change the channel (batch, height, width of a feature map), else the value's own size: it *carries*
channels. So a feature map of C channels has labels of shape 1 x C x 1 x 1, and after flatten(1) of shape 1 x C*h*w.
Operators that move data are run on the labels themselves. -1 says: no channel stands here.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

NONE = -1


def neutral(dims: int) -> Tensor:
    """Labels of a value that carries no channels."""
    return torch.full((1,) * dims, NONE, dtype=torch.int64)


def along(channels: Tensor, dims: int, dim: int) -> Tensor:
    """Labels of a value with `dims` dimensions whose dimension `dim` carries `channels`."""
    shape = [1] * dims
    shape[dim] = len(channels)
    return channels.reshape(shape)


def carried(labels: Tensor) -> tuple[int, ...]:
    """The dimensions along which the channel changes."""
    return tuple(dim for dim, size in enumerate(labels.shape) if size > 1)


def spread(labels: Tensor, shape: Sequence[int]) -> Tensor:
    """Labels at the full size of the value."""
    return labels.expand(tuple(shape))


def compress(labels: Tensor) -> Tensor:
    """Narrow every dimension along which nothing changes to size 1."""
    for dim in range(labels.dim()):
        if labels.shape[dim] > 1:
            first = labels.narrow(dim, 0, 1)
            if bool((labels == first).all()):
                labels = first
    return labels.contiguous()


def vector(labels: Tensor, shape: Sequence[int], dim: int) -> Tensor | None:
    """The channel at each position of one dimension; None where another dimension carries channels too."""
    dim %= len(shape)
    if any(other != dim for other in carried(labels)):
        return None
    return labels.reshape(-1).expand(shape[dim]).contiguous()


def meet(one: Tensor, other: Tensor) -> bool:
    """Whether two sets of channels have any in common."""
    return bool(torch.isin(one, other).any())


def set_of(channels: Tensor) -> bytes:
    """What is the same for the same channels in another order, to look them up by."""
    ordered: bytes = channels.sort().values.numpy().tobytes()
    return ordered


def components(size: int, left: Tensor, right: Tensor) -> Tensor:
    """Number the connected components of `size` points under the edges left[i] - right[i]; one number a point.

    Numbers follow the order of the smallest point of each component.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((torch.ones(len(left), dtype=torch.float64).numpy(), (left.numpy(), right.numpy())), (size, size))
    numbers = connected_components(edges, directed=False)[1]  # points are visited in their order
    return torch.from_numpy(numbers).to(torch.int64)


def along_batch(labels: Tensor, traced: int, images: int) -> Tensor:
    """Labels of what some images give, where heads lie along the batch: those of one of the `traced` images, repeated.

    The same labels where the first dimension carries no channels.
    """
    if labels.shape[0] == 1:
        return labels
    own = labels[: labels.shape[0] // traced]
    return own.repeat(images, *[1] * (labels.dim() - 1))

"""Several processes that share one job: each reads every n-th batch, and what they find is put together."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from model_lego.errors import LegoError, ProcessFailed

T = TypeVar("T")

#: A process group of torch.distributed, or None for this process alone.
Group = dist.ProcessGroup | None


def place_in(group: Group) -> tuple[int, int]:
    """Rank of this process in the group, and how many there are."""
    return (0, 1) if group is None else (dist.get_rank(group), dist.get_world_size(group))


def in_all(work: Callable[[], T], group: Group) -> list[T]:
    """Do `work` in every process and give what each of them returned, by rank.

    An error in one process ends all of them, instead of leaving the others waiting: the one that failed raises its
    error, the others ProcessFailed with its words.
    """
    if group is None:
        return [work()]
    mine, failure = None, None
    try:
        mine = work()
    except Exception as error:
        failure = error
    told = None if failure is None else str(failure) if isinstance(failure, LegoError) else repr(failure)
    heard: list[tuple[T | None, str | None]] = [(None, None)] * dist.get_world_size(group)
    dist.all_gather_object(heard, (mine, told), group)
    if failure is not None:
        raise failure
    for rank, (_, words) in enumerate(heard):
        if words is not None:
            raise ProcessFailed(f"process {rank} failed: {words}")
    return [result for result, _ in heard]  # type: ignore[misc]


def add_up(tensors: Iterable[Tensor], group: Group) -> None:
    """Replace each tensor, in place, by its sum over the processes, which all give theirs in the same order."""
    if group is None:
        return
    nccl = dist.get_backend(group) == "nccl"
    for tensor in tensors:
        moved = tensor.to(torch.device("cuda", torch.cuda.current_device())) if nccl else tensor
        dist.all_reduce(moved, group=group)
        if moved is not tensor:
            tensor.copy_(moved)

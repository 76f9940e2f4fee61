"""Processes that torchrun started: they share the work of a command, and the first one speaks and writes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_lego.processes import Group


def alone() -> bool:
    """Whether this process was started without others."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


def speaks() -> bool:
    """Whether this is the process that speaks and writes the result."""
    return alone() or os.environ["RANK"] == "0"


@contextmanager
def team() -> "Iterator[Group]":
    """Join the processes that torchrun started; None where this process is alone."""
    if alone():
        yield None
        return
    import torch
    import torch.distributed as dist

    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield dist.group.WORLD
    finally:
        dist.destroy_process_group()

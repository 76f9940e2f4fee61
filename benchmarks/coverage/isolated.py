"""Try a network in a process of its own; what is imported for all of them is imported once."""

import multiprocessing
import traceback
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.apart import Stopped, apart
from benchmarks.coverage.check import Result, check

SECONDS = 900  # for one network
PROCESSES = multiprocessing.get_context("forkserver")  # the libraries are imported once
IMPORTED = ("timm", "torchvision", "torch.export", "benchmarks.coverage.isolated")
PROCESSES.set_forkserver_preload(list(IMPORTED))


def tried(name: str) -> Result:
    """Try a network in a process of its own, which is killed when its time is over."""
    try:
        return Result(**apart(PROCESSES, partial(_checked, name), seconds=SECONDS))
    except Stopped as error:
        return Result(name, error=str(error))


def _checked(name: str) -> dict[str, Any]:
    try:
        return asdict(check(name))
    except Exception as error:  # of any library, which is a failure of ours
        traceback.print_exc()
        return asdict(Result(name, error=f"{type(error).__name__}: {error}"))

"""Do a piece of work in a process of its own, so that one which hangs or crashes takes nothing with it."""

import multiprocessing
import resource
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks.coverage.check import Result, check

SECONDS = 900  # for one network
PROCESSES = multiprocessing.get_context("forkserver")  # the libraries are imported once
IMPORTED = ("timm", "torchvision", "torch.export", "benchmarks.coverage.isolated")
PROCESSES.set_forkserver_preload(list(IMPORTED))


class Stopped(Exception):
    """The work was not done: its time was over, or its process ended."""


def tried(name: str) -> Result:
    """Try a network in a process of its own, which is killed when its time is over."""
    try:
        return Result(**apart(_checked, name, seconds=SECONDS))
    except Stopped as error:
        return Result(name, error=str(error))


def apart(
    work: Callable[[str], dict[str, Any]], name: str, *, seconds: int, memory: int | None = None
) -> dict[str, Any]:
    """What some work gives for a name, done in a process that gets so many seconds and bytes; raises Stopped."""
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_child, args=(work, name, memory, send))
    process.start()
    send.close()
    try:
        if receive.poll(seconds):
            found: dict[str, Any] = receive.recv()
            return found
        raise Stopped(f"not done after {seconds} s")
    except EOFError:
        process.join()
        raise Stopped(f"the process stopped with {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _child(work: Callable[[str], dict[str, Any]], name: str, memory: int | None, send: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    send.send(work(name))


def _checked(name: str) -> dict[str, Any]:
    try:
        return asdict(check(name))
    except Exception as error:  # of any library, which is a failure of ours
        traceback.print_exc()
        return asdict(Result(name, error=f"{type(error).__name__}: {error}"))

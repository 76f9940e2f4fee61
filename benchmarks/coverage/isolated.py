"""Do a piece of work in a process of its own, so that one which hangs or crashes takes nothing with it."""

import multiprocessing
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Mapping
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
    work: Callable[[str], dict[str, Any]], name: str, *, seconds: int, limits: Mapping[int, int] | None = None
) -> dict[str, Any]:
    """What some work gives for a name, done in a process of its own; raises Stopped.

    `limits` are the system's: resource.RLIMIT_CPU for seconds of a processor, RLIMIT_DATA for bytes.
    """
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_child, args=(work, name, limits or {}, send))
    process.start()
    send.close()
    try:
        if receive.poll(seconds):
            found: dict[str, Any] = receive.recv()
            return found
        raise Stopped(f"not done after {seconds} s")
    except EOFError:
        process.join()
        code = process.exitcode or 0
        raise Stopped(f"the process stopped with {signal.Signals(-code).name if code < 0 else code}") from None
    finally:
        process.kill()
        process.join()


def _child(work: Callable[[str], dict[str, Any]], name: str, limits: Mapping[int, int], send: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    send.send(work(name))


def _checked(name: str) -> dict[str, Any]:
    try:
        return asdict(check(name))
    except Exception as error:  # of any library, which is a failure of ours
        traceback.print_exc()
        return asdict(Result(name, error=f"{type(error).__name__}: {error}"))

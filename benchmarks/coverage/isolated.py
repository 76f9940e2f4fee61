"""Try a network in a process of its own, so that one which hangs or crashes takes nothing with it."""

import multiprocessing
import traceback
import warnings
from dataclasses import asdict
from multiprocessing.connection import Connection

import torch

from benchmarks.coverage.check import Result, check

SECONDS = 900  # for one network
PROCESSES = multiprocessing.get_context("forkserver")  # the libraries are imported once
PROCESSES.set_forkserver_preload(["timm", "torchvision", "torch.export", "benchmarks.coverage.isolated"])


def tried(name: str) -> Result:
    """Try a network in a process of its own, which is killed when its time is over."""
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_child, args=(name, send))
    process.start()
    send.close()
    try:
        if receive.poll(SECONDS):
            return Result(**receive.recv())
        return Result(name, error=f"not done after {SECONDS} s")
    except EOFError:
        process.join()
        return Result(name, error=f"the process stopped with {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _child(name: str, send: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        result = check(name)
    except Exception as error:  # of any library, which is a failure of ours
        traceback.print_exc()
        result = Result(name, error=f"{type(error).__name__}: {error}")
    send.send(asdict(result))

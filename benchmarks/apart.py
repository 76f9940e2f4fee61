"""Do a piece of work in a process of its own, so that one which hangs or crashes takes nothing with it."""

import resource
import signal
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any

import torch


class Stopped(Exception):
    """The work was not done: its time was over, or its process ended."""


def apart(
    processes: BaseContext, work: Callable[[], Any], *, seconds: int, limits: Mapping[int, int] | None = None
) -> Any:
    """What some work gives, done in a process of its own, which is killed when its time is over.

    `limits` are the system's: resource.RLIMIT_CPU for seconds of a processor, RLIMIT_DATA for bytes. Raises
    Stopped, and what the work itself raises.
    """
    receive, send = processes.Pipe(duplex=False)
    process = processes.Process(target=_child, args=(work, limits or {}, send))  # type: ignore[attr-defined]
    process.start()
    send.close()
    try:
        if not receive.poll(seconds):
            raise Stopped(f"not done after {seconds} s")
        given = receive.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        raise Stopped(f"the process stopped with {signal.Signals(-code).name if code < 0 else code}") from None
    finally:
        process.kill()
        process.join()
    if isinstance(given, Exception):
        raise given
    return given


def _child(work: Callable[[], Any], limits: Mapping[int, int], send: Connection) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    try:
        given = work()
    except Exception as error:  # of any kind: it is raised again on the other side
        given = error
    send.send(given)

"""How the parts of an assembly run: in turns, or on threads where that is measured to be faster. Either gives the same.

Parts of small networks, or few images, leave processors idle when each is spread over all of them. On threads each part
runs as it does in its turn, so no bit differs. Why they are not one network of grouped convolutions:
docs/decisions/parts-run-on-threads.md.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from model_lego.errors import BadConfig

Result = TypeVar("Result")
How = Literal["measured", "threads", "turns"]

#: Calls of each way, by turns, of which the fastest is compared; the first of each warms up.
CALLS = 3
_HOW: ContextVar[How] = ContextVar("how parts run", default="measured")
_INSIDE = threading.local()
_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}


@contextmanager
def parts_run(how: How) -> Iterator[None]:
    """Within it, parts of an assembly run on "threads" where they can, or in "turns"; "measured" is the default.

    Measured are the first calls for each number of images. Threads are for the CPU, without gradients, where torch may
    use several, and nobody listens to the layers (hooks). Raises BadConfig.
    """
    if how not in get_args(How):
        raise BadConfig(f"parts cannot run in '{how}': use one of {', '.join(get_args(How))}")
    token = _HOW.set(how)
    try:
        yield
    finally:
        _HOW.reset(token)


class Pace:
    """What the first calls of an assembly took, in seconds, by number of images and of threads; is not saved."""

    def __init__(self) -> None:
        self._taken: dict[tuple[int, int], tuple[list[float], list[float]]] = {}

    def run(self, networks: Sequence[nn.Module], images: Tensor, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """What the call of each network gives for these images, in their order."""
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() or not _may(networks, images):
            return _in_turns(calls)
        taken = self._taken.setdefault((len(images), torch.get_num_threads()), ([], []))
        known, how = all(len(each) > CALLS for each in taken), _HOW.get()
        if how == "measured":
            faster = min(taken[1][1:]) < min(taken[0][1:]) if known else len(taken[1]) < len(taken[0])
        else:
            faster = how == "threads"
        if not faster or _heard(networks):
            way, mine = _in_turns, taken[0]
        else:
            way, mine = _on_threads, taken[1]
        started = time.perf_counter()
        given = way(calls)
        if not known:
            mine.append(time.perf_counter() - started)
        return given


def _may(networks: Sequence[nn.Module], images: Tensor) -> bool:
    """Whether threads are possible: nothing that belongs to this thread alone is at work, and they can do any good."""
    return (
        len(networks) > 1
        and torch.get_num_threads() > 1
        and images.device.type == "cpu"
        and type(images) is Tensor
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not getattr(_INSIDE, "part", False)
        and not torch._C._len_torch_dispatch_stack()
        and not torch._C._len_torch_function_stack()
        and torch._C._functorch.peek_interpreter_stack() is None
        and len({id(network) for network in networks}) == len(networks)
        and not any(network.training for network in networks)
    )


def _heard(networks: Sequence[nn.Module]) -> bool:
    """Whether somebody listens to layers, who may do so for this thread alone."""
    everywhere = nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks
    return bool(everywhere) or any(
        module._forward_hooks or module._forward_pre_hooks for network in networks for module in network.modules()
    )


def _in_turns(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    return [call() for call in calls]


def _on_threads(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """All but the first on threads of their own, as many at once as torch may use."""
    count, inferring = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def work(call: Callable[[], Result]) -> Result:
        if torch.get_num_threads() != count:  # of this thread, which has just begun
            torch.set_num_threads(count)
        with torch.inference_mode() if inferring else torch.no_grad(), _inside():
            return call()

    pool = _pool(count - 1)
    others = [pool.submit(work, call) for call in calls[1:]]
    try:
        with _inside():
            first = calls[0]()
    finally:
        for other in others:
            other.exception()  # none runs on when the call has ended
    return [first, *(other.result() for other in others)]


@contextmanager
def _inside() -> Iterator[None]:
    """Parts of a part run in turns: they would wait for threads that wait for them."""
    before = getattr(_INSIDE, "part", False)
    _INSIDE.part = True
    try:
        yield
    finally:
        _INSIDE.part = before


def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay, so that each sets up its own but once; a forked process has none of its parent's."""
    key = os.getpid(), threads
    if key not in _POOLS:
        _POOLS[key] = ThreadPoolExecutor(threads, thread_name_prefix="model-lego-part")
    return _POOLS[key]

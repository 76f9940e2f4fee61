"""Networks that a stranger's file names: built without their tensors, and asked only what memory can hold.

A file of some kilobytes may name a network of gigabytes, or one of a hundred thousand layers. How many tensors it has
and how large they are says how much may be built for it.
"""

import copy
import ctypes
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from model_lego.errors import CorruptComponent
from model_lego.graph.modules import first_parameter
from model_lego.parts.answers import answer_of
from model_lego.store.tensors import named_tensors

#: Modules and tensors that a network may register for each tensor in its file, and so many more for auxiliary heads and
#: other layers that a file does without. Among some 250 kinds of torchvision, timm and transformers 4.3 are the most.
FOR_EACH, SPARE = 16, 256
#: Elements up to which numbers that a builder computes are real ones: RegNets read their widths off such a tensor.
SMALL = 4096
#: Bytes that one step on an image may take, or so many times those of the file's tensors.
STEP_BYTES, TIMES = 2**31, 32
#: Operators that are weighed; on the meta device, those of a recurrent network would take a minute.
OPERATORS = 10_000
#: Bytes that a step may take where a network is asked on images without having been weighed.
LIGHT = 2**26


#: What fills a tensor with first values, in place.
_METHODS = ("add_", "clamp_", "erfinv_", "fill_", "mul_", "normal_", "uniform_", "zero_")
FILLING = frozenset(getattr(Tensor, name) for name in _METHODS) | {
    *(nn.init.constant_, nn.init.kaiming_uniform_, nn.init.normal_, nn.init.uniform_)
}
#: BatchNorm, for which torch takes many steps on the meta device, as it does for convolutions.
NORM = torch.ops.aten.native_batch_norm.default
#: Its arguments are images, weight, bias, stride, padding, dilation, whether it is transposed, a padding, groups.
CONVOLUTION = torch.ops.aten.convolution.default

#: Seconds that a builder may work, with the import of its library, and so many more for each tensor in the file.
SECONDS, SECONDS_EACH = 30.0, 0.05
#: Times as long that it may take on a busy machine, where it waits for the processor and the disk.
BUSY = 10


class TooLarge(BaseException):
    """More than a file allows; what is too large. No `except Exception` of a library takes it."""

    def __str__(self) -> str:
        return super().__str__() or "it takes too long to build"


def outline(build: Callable[[], nn.Module], tensors: int) -> nn.Module:
    """Build a network on the meta device, where tensors have a shape but take no memory.

    Raises CorruptComponent where it registers more than a file of so many tensors can hold, and as the builder does.
    """
    try:
        with _in_time(SECONDS + SECONDS_EACH * tensors), _counted(SPARE + FOR_EACH * tensors):
            try:
                with torch.device("meta"), _Unfilled():
                    return build()
            except Exception:  # it reads a number off a tensor, or cannot be built at all, which it says again
                with torch.device("meta"), _Unfilled(), _SmallAreReal():
                    return build()
    except TooLarge as error:
        raise CorruptComponent(f"it is far larger than the file: {error} for {tensors:,} tensors") from None


def most_bytes(file_bytes: int) -> int:
    """How many bytes a step on an image may take, by those of the file."""
    return max(STEP_BYTES, TIMES * file_bytes)


def logits_given(network: nn.Module, shape: tuple[int, ...], file_bytes: int) -> int | None:
    """How many logits a network gives for images of a shape, without memory; None where only real tensors tell.

    Raises CorruptComponent where a step takes far more memory than its file, or it does not run on such images at all.
    """
    try:
        with torch.device("meta"), _Weighing(most_bytes(file_bytes)), torch.no_grad():
            outline = outlined(network)
            images = torch.empty(2, *shape, dtype=torch.float64)[:1].to(first_parameter(outline))
            return answer_of(outline, images).shape[1]
    except TooLarge as error:
        raise CorruptComponent(f"to ask it takes far more memory than its file does: {error}") from None
    except NotImplementedError:
        return None
    except Exception as error:  # networks of three libraries fail in every possible way on tensors of other shapes
        if "meta" in str(error):
            return None
        raise CorruptComponent(f"the network does not run on images of shape {shape}: {error}") from None


def outlined(network: nn.Module) -> nn.Module:
    """A copy of a network on the meta device."""
    with torch.no_grad():
        return copy.deepcopy(network, {id(each): each.to("meta") for each in named_tensors(network).values()})


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Raise TooLarge in this thread after so much work, wherever it is then: a builder may loop without a module."""
    here, left, done, ended = threading.get_ident(), _seconds_left(seconds), threading.Event(), threading.Lock()

    def watch() -> None:
        while (rest := left()) > 0:
            if done.wait(rest):
                return
        if ended.acquire(blocking=False):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(here), ctypes.py_object(TooLarge))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
        if not ended.acquire(blocking=False):
            time.sleep(0.01)  # it was set, and comes now, while somebody listens


def _seconds_left(seconds: float) -> Callable[[], float]:
    """How many are left of some seconds of this thread's work, or of BUSY times as many of a clock on the wall.

    Where a system does not tell what a thread has worked, the wall's count as they are.
    """
    started = time.monotonic()
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: started + seconds - time.monotonic()
    clock = time.pthread_getcpuclockid(threading.get_ident())
    worked = time.clock_gettime(clock)

    def left() -> float:
        waiting = started + BUSY * seconds - time.monotonic()
        return min(worked + seconds - time.clock_gettime(clock), waiting) if waiting > 0 else 0.0

    return left


@contextmanager
def _counted(most: int) -> Iterator[None]:
    """Let networks that are built in this thread register so many modules and tensors."""
    here, seen = threading.get_ident(), 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += threading.get_ident() == here
        if seen > most:
            raise TooLarge(f"more than {most:,} modules and parameters")

    handles = [
        torch_module.register_module_module_registration_hook(count),
        torch_module.register_module_parameter_registration_hook(count),
        torch_module.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without values as they are: the steps of their initialisation are slow, and fill nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        filled = (args[0] if args else kwargs["tensor"]) if func in FILLING else None
        return filled if filled is not None and filled.is_meta else func(*args, **kwargs)


class _SmallAreReal(TorchFunctionMode):
    """New tensors of a few numbers that are said are on the CPU, where a builder may read them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = func(*args, **kwargs)
        few = func in (torch.arange, torch.linspace, torch.tensor) and given.is_meta and given.numel() <= SMALL
        return func(*args, **{**kwargs, "device": "cpu"}) if few else given


class _Weighing(TorchDispatchMode):
    """Weighs what each operator gives; raises TooLarge, and NotImplementedError where there is no end of them."""

    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most, self.left = most, OPERATORS

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if not self.left:
            raise NotImplementedError
        given = outlined_step(func, args, kwargs or {})
        for one in tree_leaves(given) if not func.is_view else ():
            if isinstance(one, Tensor) and one.nbytes > self.most:
                raise TooLarge(f"{func} gives {one.nbytes:,} bytes")
        return given


class Light:
    """A watcher of operators that weighs what each is about to give; raises TooLarge where it is not light."""

    def __init__(self) -> None:
        self.heaviest = 0

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Weigh what an operator will give; one that writes into a tensor gives nothing new."""
        if not func._schema.is_mutable:
            self.add(_nbytes_given(func, args, kwargs))

    def add(self, nbytes: int) -> None:
        """So much memory is about to be taken."""
        self.heaviest = max(self.heaviest, nbytes)
        if nbytes > LIGHT:
            raise TooLarge(f"{nbytes:,} bytes")


def _nbytes_given(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """The bytes of what an operator will give, without running it: of frequent ones by their arguments alone."""
    if func is NORM:
        return int(args[0].nbytes)
    if func is CONVOLUTION and (shape := _convolved(*args)):
        return math.prod(shape) * int(args[0].itemsize)
    on_meta = tree_map(lambda one: one.to("meta") if isinstance(one, Tensor) else one, (args, kwargs))
    if "device" in kwargs:
        on_meta[1]["device"] = torch.device("meta")
    try:
        given = func(*on_meta[0], **on_meta[1])
    except Exception:  # it tells only of real tensors, or fails, and then says so when it runs
        return 0
    return max((one.nbytes for one in tree_leaves(given) if isinstance(one, Tensor)), default=0)


def outlined_step(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operator gives on the meta device, soon."""
    if func is CONVOLUTION and (shape := _convolved(*args)):
        return args[0].new_empty(shape)
    return _normed(*args) if func is NORM else func(*args, **kwargs)


def _convolved(images: Tensor, weight: Tensor, _: Any, *how: Any) -> tuple[int, ...] | None:
    """The shape that a convolution gives; None of one that is transposed, and where its tensors do not fit."""
    transposed, groups = how[3], how[5]
    if transposed or images.shape[1] != weight.shape[1] * groups or not all(how[0]):
        return None
    sides = zip(images.shape[2:], weight.shape[2:], *how[:3], strict=True)
    maps = [(side + 2 * pad - gap * (taps - 1) - 1) // step + 1 for side, taps, step, pad, gap in sides]
    return (images.shape[0], weight.shape[0], *maps) if all(side > 0 for side in maps) else None


def _normed(images: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    """What BatchNorm in eval mode gives on the meta device: maps of the same shape, and no statistics of its own."""
    return torch.empty_like(images), images.new_empty(0), images.new_empty(0)

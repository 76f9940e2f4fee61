"""What a network is: what it answers to a seeded example decides.

A copy without hooks, a network taken out of a wrapper, what a builder makes, a network with its computed weights made
plain, a part that was loaded, an exported program: each stands for a network, so each has to give what that gives.
"""

import hashlib
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from model_lego.parts.logits import main_logits

#: Largest difference of two answers that are the same, in parts of the largest logit, by data type.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
#: What is called with an operator and its arguments.
Watcher = Callable[[Any, tuple[Any, ...], dict[str, Any]], None]
#: Operators that a network needs or not as its tensors happen to lie in memory.
_LAYING_OUT = frozenset({"aten::clone", "aten::_to_copy", "aten::_reshape_copy", "aten::copy_", "aten::detach"})


@torch.no_grad()
def answer_of(network: nn.Module, images: Tensor) -> Tensor:
    """The logits of a network for images in eval mode, hooks included; each of its modules gets its mode back."""
    with evaluating(network):
        return main_logits(network(images.clone()))


@contextmanager
def evaluating(*networks: nn.Module) -> Iterator[None]:
    """Put networks in eval mode for a while; each of their modules gets its own mode back."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def difference(expected: Tensor, found: Tensor, *, tolerance: float | None = None) -> str:
    """How two answers differ, in words; empty where they are the same, as far as their data type goes."""
    if found.shape != expected.shape:
        return f"logits of shape {tuple(found.shape)} instead of {tuple(expected.shape)}"
    largest = float(expected.abs().max())
    apart = float((found.to(expected) - expected).abs().max())
    allowed = TOLERANCE.get(expected.dtype, 1e-3) if tolerance is None else tolerance
    if apart <= allowed * max(largest, 1e-6):
        return ""
    return f"logits that differ by {apart:.3g}, where the largest is {largest:.3g}"


def answer_and_operators(
    network: nn.Module, images: Tensor, *, expected: str = "", watcher: Watcher | None = None
) -> tuple[Tensor, str]:
    """The logits of a network, and a digest (sha256, hex) of the operators that it ran, with their numbers.

    The digest is the same for the same network, whatever its tensors hold and however they lie in memory, in the same
    version of torch, and whether it ran before: networks that keep what they computed (LeViT its attention biases) are
    asked twice, where the first answer is not by the `expected` operators. A `watcher` is told of each operator
    but views, before it runs.
    """
    before = [] if expected else _held(network)
    first = _heard(network, images, watcher)
    after = [] if expected else _held(network)
    unchanged = len(before) == len(after) and all(map(operator.is_, before, after))
    return first if first[1] == expected or (unchanged and not expected) else _heard(network, images, watcher)


def _held(network: nn.Module) -> list[Any]:
    """All that the modules of a network hold, also inside dictionaries and lists; a network that keeps adds to it."""
    values = [value for module in network.modules() for value in vars(module).values()]
    lists = [list(value.values()) if isinstance(value, dict) else value for value in values]
    return [*values, *chain.from_iterable(each for each in lists if isinstance(each, list))]


def _heard(network: nn.Module, images: Tensor, watcher: Watcher | None) -> tuple[Tensor, str]:
    with Listener(watcher) as heard:
        logits = answer_of(network, images)
    return logits, heard.digest.hexdigest()


class Listener(TorchDispatchMode):
    """Notes each operator that does more than to lay out a tensor, with its numbers and the shapes that it takes."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.digest, self.watcher = hashlib.sha256(), watcher

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view and func._schema.name not in _LAYING_OUT:
            numbers = [[*map(_number, one)] if isinstance(one, list | tuple) else _number(one) for one in args]
            self.digest.update(f"{func} {numbers}\n".encode())
        if self.watcher is not None and not func.is_view:
            self.watcher(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def _number(value: Any) -> str:
    """A number or a word as text, a tensor by its shape."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else str(value)

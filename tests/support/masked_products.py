"""Products of two values that see the kept channels alone: in what is multiplied, the dropped ones are zero.

Products are told apart by the module whose forward makes them, and by how many it made before. The scale of a product
stays that of all channels. Nothing of the library is imported.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

MULTIPLYING = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, F.scaled_dot_product_attention}
NAMES = (("query", "input", "self"), ("key", "other", "mat2"))  # of operands that are given by name


@dataclass(frozen=True, slots=True)
class Operand:
    """What stands at a place of the product of that number, from 0, among those that a module's forward makes.

    Products of which a side has fewer than three dimensions are not counted.
    """

    module: str
    number: int
    place: int


@contextmanager
def products_over(model: nn.Module, kept: Mapping[Operand, Tensor]) -> Iterator[None]:
    """Within the context, operands are zero but where `kept` (bools, as wide as the operand or 1) says otherwise.

    Of what lies along the batch, `kept` has the pattern of some images; others have the same.
    """
    inside: list[nn.Module] = []

    def enter(module: nn.Module, _: Any) -> None:
        inside.append(module)

    def leave(*_: Any) -> None:
        inside.pop()

    with ExitStack() as stack:
        if kept:
            for module in model.modules():
                stack.callback(module.register_forward_pre_hook(enter).remove)
                stack.callback(module.register_forward_hook(leave).remove)
            places = {(model.get_submodule(at.module), at.number, at.place): one for at, one in kept.items()}
            stack.enter_context(_OverKept(inside, places))
        yield


class _OverKept(TorchFunctionMode):
    def __init__(self, inside: list[nn.Module], kept: Mapping[tuple[nn.Module, int, int], Tensor]) -> None:
        super().__init__()
        self.inside, self.kept, self.made = inside, kept, Counter[nn.Module]()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = list(args), dict(kwargs or {})
        if self.inside and function in MULTIPLYING:
            values = [_operand(place, args, kwargs) for place in (0, 1)]
            if all(value.dim() > 2 for value in values):
                module = self.inside[-1]
                for place, value in enumerate(values):
                    kept = self.kept.get((module, self.made[module], place))
                    if kept is not None:
                        _put(place, torch.where(_alike(kept, value), value, torch.zeros_like(value)), args, kwargs)
                self.made[module] += 1
        return function(*args, **kwargs)


def _operand(place: int, args: list[Any], kwargs: Mapping[str, Any]) -> Tensor:
    given = args[place] if place < len(args) else next(kwargs[name] for name in NAMES[place] if name in kwargs)
    assert isinstance(given, Tensor)
    return given


def _put(place: int, value: Tensor, args: list[Any], kwargs: dict[str, Any]) -> None:
    if place < len(args):
        args[place] = value
    else:
        kwargs[next(name for name in NAMES[place] if name in kwargs)] = value


def _alike(kept: Tensor, value: Tensor) -> Tensor:
    """Bools for as many images as a value has."""
    if len(kept) in (1, len(value)):
        return kept
    times = -(-len(value) // len(kept))
    return kept.repeat(times, *[1] * (kept.dim() - 1))[: len(value)]

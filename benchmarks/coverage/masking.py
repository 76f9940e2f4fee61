"""A source with dropped channels zeroed, also where its forward goes past the calls of its layers.

A hook on a module does not hear `layer.forward(x)`, nor `F.conv2d(part, layer.weight)` for several parts of a value. So
what goes into a layer is zeroed where it is called, and where its own weight is used. The library has no part in it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from tests.support.oracles import Kept, statistics_and_products, zero_all_but

USES = (F.conv1d, F.conv2d, F.conv3d, F.linear, F.conv_transpose2d)  # of a weight, their second argument


def masked_source(model: nn.Module, x: Tensor, kept: Kept) -> Any:
    """What a network gives with the dropped input channels of the named convolutions and linear layers zeroed.

    Norms over channels normalise over the kept ones, and products are over these.
    """
    layers = {name: channels for name, channels in kept.items() if isinstance(name, str)}
    with ExitStack() as stack:
        for name, channels in layers.items():
            module = model.get_submodule(name)
            stack.callback(module.register_forward_pre_hook(_where_it_fits(channels)).remove)
        stack.enter_context(_Masking((model.get_submodule(name), channels) for name, channels in layers.items()))
        stack.enter_context(statistics_and_products(model, kept))
        stack.enter_context(torch.no_grad())
        return model(x)


def _where_it_fits(channels: Sequence[int]) -> Callable[..., Any]:
    zero = zero_all_but(channels)

    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> Any:
        x, weight = arguments[0], getattr(module, "weight", None)
        width = 0 if weight is None else weight.shape[1] * int(getattr(module, "groups", 1))
        linear = isinstance(module, nn.Linear)
        several = isinstance(x, Tensor) and width and not linear and x.shape[1] % width == 0 and x.shape[1] != width
        return None if several else zero(module, arguments)

    return hook


class _Masking(TorchFunctionMode):
    """Within it, what is multiplied by the weights of some layers has its dropped channels zeroed."""

    def __init__(self, kept: Iterable[tuple[nn.Module, Sequence[int]]]) -> None:
        super().__init__()
        self.kept = {id(module.weight): (module, channels) for module, channels in kept if hasattr(module, "weight")}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in USES and len(args) > 1 and id(args[1]) in self.kept:
            module, channels = self.kept[id(args[1])]
            args = (*zero_all_but(channels)(module, args[:1]), *args[1:])
        return function(*args, **(kwargs or {}))

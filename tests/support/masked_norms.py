"""Norms over channels that see the kept channels alone: the equations, put where a network normalises.

What is averaged over channels inside named modules is averaged over those that are kept: their mean, variance, and
number. Nothing of the library is imported.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

#: (module, number of channels): where a network normalises over so many channels.
Place = tuple[str, int]

REDUCING = {
    *(torch.mean, torch.sum, torch.var, torch.std, torch.var_mean, torch.norm, torch.linalg.vector_norm),
    *(Tensor.mean, Tensor.sum, Tensor.var, Tensor.std, Tensor.norm),
}
ORDERED = {torch.norm, torch.linalg.vector_norm, Tensor.norm}  # their second argument is an order, the third dimensions


@contextmanager
def norms_over(model: nn.Module, kept: Mapping[Place, Sequence[int]]) -> Iterator[None]:
    """Within the context, what the named modules average over so many channels is averaged over the kept ones."""
    inside: list[str] = []

    def enter(name: str) -> Any:
        return lambda *_: inside.append(name)

    def leave(*_: Any) -> None:
        inside.pop()

    with ExitStack() as stack:
        for name in {name for name, _ in kept}:
            module = model.get_submodule(name)
            stack.callback(module.register_forward_pre_hook(enter(name)).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        if kept:
            stack.enter_context(_OverKept(inside, {key: torch.tensor(sorted(one)) for key, one in kept.items()}))
        yield


class _OverKept(TorchFunctionMode):
    def __init__(self, inside: list[str], kept: Mapping[Place, Tensor]) -> None:
        super().__init__()
        self.inside, self.kept = inside, kept

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.inside and function in NORMS:
            return NORMS[function](self._at, *args, **kwargs)
        if self.inside and function in REDUCING:
            args = (self._narrowed(function, args, kwargs), *args[1:])
        return function(*args, **kwargs)

    def _at(self, width: int) -> Tensor | None:
        return self.kept.get((self.inside[-1], width))

    def _narrowed(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        x, at = args[0], 2 if function in ORDERED else 1
        dims = kwargs.get("dim", args[at] if len(args) > at else ())
        for dim in (dims,) if isinstance(dims, int) else dims:
            kept = self._at(x.shape[dim])
            x = x if kept is None else x.index_select(dim, kept)
        return x


def layer_norm(at: Any, x: Tensor, shape: Sequence[int], weight=None, bias=None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) over the kept numbers of the last dimension."""
    kept = at(x.shape[-1])
    if kept is None:
        return F.layer_norm(x, shape, weight, bias, eps)
    some = x[..., kept]
    centred = some - some.sum(-1, keepdim=True) / len(kept)
    scaled = centred / ((centred**2).sum(-1, keepdim=True) / len(kept) + eps) ** 0.5
    return _put_back(x, kept, -1, _affine(scaled, kept, weight, bias))


def rms_norm(at: Any, x: Tensor, shape: Sequence[int], weight=None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean square + eps) over the kept numbers of the last dimension."""
    kept = at(x.shape[-1])
    if kept is None:
        return F.rms_norm(x, shape, weight, eps)
    some = x[..., kept]
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    scaled = some / ((some**2).sum(-1, keepdim=True) / len(kept) + eps) ** 0.5
    return _put_back(x, kept, -1, _affine(scaled, kept, weight, None))


def group_norm(at: Any, x: Tensor, groups: int, weight=None, bias=None, eps: float = 1e-5) -> Tensor:
    """One group: as a layer norm over the kept maps of an image, with a weight a map."""
    kept = at(x.shape[1])
    if kept is None or groups > 1:
        return F.group_norm(x, groups, weight, bias, eps)
    some = x[:, kept].flatten(1)
    centred = some - some.sum(1, keepdim=True) / some.shape[1]
    scaled = centred / ((centred**2).sum(1, keepdim=True) / some.shape[1] + eps) ** 0.5
    scaled = scaled.reshape(len(x), len(kept), *x.shape[2:]).movedim(1, -1)
    return _put_back(x, kept, 1, _affine(scaled, kept, weight, bias).movedim(-1, 1))


def normalize(at: Any, x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None) -> Tensor:
    """Divided by the length of the kept numbers of a dimension."""
    kept = at(x.shape[dim])
    if kept is None or p != 2:
        return F.normalize(x, p, dim, eps)
    length = (x.index_select(dim, kept) ** 2).sum(dim, keepdim=True) ** 0.5
    return x / length.clamp(min=eps)


NORMS = {F.layer_norm: layer_norm, F.rms_norm: rms_norm, F.group_norm: group_norm, F.normalize: normalize}


def _affine(scaled: Tensor, kept: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    scaled = scaled if weight is None else scaled * weight[kept]
    return scaled if bias is None else scaled + bias[kept]


def _put_back(x: Tensor, kept: Tensor, dim: int, some: Tensor) -> Tensor:
    return torch.zeros_like(x).index_copy(dim, kept, some)

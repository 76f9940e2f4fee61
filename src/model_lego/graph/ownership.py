"""Tensors that a network uses but does not hold: a copy would not have its own, and no cut could reach them."""

from collections.abc import Collection, Iterator
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.errors import RefusedError
from model_lego.graph.modules import find_tensor
from model_lego.graph.program import Program


def refuse_foreign(model: nn.Module, program: Program, bound: Collection[str]) -> None:
    """Raise RefusedError for layers and parameters that are registered nowhere, and for forwards put in from outside.

    `bound` are the tensors that stand for channels; other constants of a forward may be anywhere.
    """
    foreign = {name: value for name, value in program.constants.items() if find_tensor(model, name) is None}
    for name, value in foreign.items():
        for attribute, kind, tensor in _unregistered(model):
            if _equal(value, tensor):
                raise RefusedError(
                    f"'{attribute}' holds layers or parameters in a plain {kind}, so that they are not part of the "
                    "network; use nn.ModuleList, nn.ModuleDict or nn.ParameterList"
                )
        forwards = {path: vars(module).get("forward") for path, module in model.named_modules()}
        replaced = [path for path, forward in forwards.items() if isinstance(forward, FunctionType)]
        own = any(_equal(value, tensor) for tensor in (*model.parameters(), *model.buffers()))
        if replaced and (own or name in bound):
            raise RefusedError(
                f"the forward of {_module(replaced[0])} is a function put in from outside, which holds its layers "
                "itself: a copy of the network would run the original's; write it into the class, or put in "
                "types.MethodType(function, module), whose function takes the module as its first argument"
            )
        if name in bound:
            raise RefusedError(
                f"{_module(name.rpartition('.')[0])} uses a tensor of shape {tuple(value.shape)} that is not the "
                "network's own; make the module or parameter that holds it an attribute of the network"
            )


def _module(path: str) -> str:
    return f"layer '{path}'" if path else "the network"


def _unregistered(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    """Parameters, and tensors of layers, that stand in plain containers: where, in what, and the tensor."""
    registered = {id(one) for one in (*model.modules(), *model.parameters())}
    for path, module in model.named_modules():
        for key, value in vars(module).items():
            if key in {"_modules", "_parameters", "_buffers"} or not isinstance(value, list | tuple | dict):
                continue
            for held in _inside(value):
                if id(held) not in registered:
                    tensors = (*held.parameters(), *held.buffers()) if isinstance(held, nn.Module) else (held,)
                    yield from ((f"{path}.{key}".strip("."), type(value).__name__, tensor) for tensor in tensors)


def _inside(value: Any) -> Iterator[nn.Module | nn.Parameter]:
    if isinstance(value, nn.Module | nn.Parameter):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _inside(item)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one.to(other.device), other)

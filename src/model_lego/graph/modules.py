"""What is asked of a torch module: a copy without hooks, its tensors by name, what it gives."""

import copy
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.errors import RefusedError
from model_lego.parts.answers import answer_of

#: What modules keep things in, without things in it.
EMPTIES = (dict, OrderedDict, set)


def hookless_copy(model: nn.Module, *, share: Iterable[Tensor] = ()) -> nn.Module:
    """Deep-copy a network without its hooks, all of it but the tensors to `share`.

    Raises RefusedError for networks that cannot be copied.
    """
    for path, module in model.named_modules():
        for hook in module._forward_pre_hooks.values():
            if type(hook).__name__ in {"WeightNorm", "SpectralNorm"}:
                raise RefusedError(
                    f"layer '{path}' has old-style {type(hook).__name__}, whose weight is made by a hook; "
                    "call torch.nn.utils.remove_weight_norm / remove_spectral_norm first"
                )
    twin = copied(model, share=share)
    for module in twin.modules():
        remove_hooks(module)
    return twin


def copied(model: nn.Module, *, share: Iterable[Tensor] = ()) -> nn.Module:
    """Deep-copy a network, hooks included, all of it but the tensors to `share`; raises RefusedError.

    Tensors that a forward left behind as attributes are copied without their way back.
    """
    known: dict[int, Any] = {id(tensor): tensor for tensor in share}
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                known[id(value)] = value.detach().clone()
            elif type(value) in EMPTIES and not value:  # mostly places for hooks, which took copy a third of its time
                known[id(value)] = type(value)()
    try:
        return copy.deepcopy(model, known)
    except Exception as error:
        raise RefusedError(f"{type(model).__name__} cannot be deep-copied: {first_line(error)}") from error


def hooks_of(module: nn.Module) -> list[Any]:
    """The hooks of a module that run in its forward."""
    return [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]


def remove_hooks(module: nn.Module) -> None:
    """Take all hooks off a module."""
    for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):
        hooks.clear()
    module._backward_pre_hooks.clear()
    module._forward_hooks_with_kwargs.clear()
    module._forward_pre_hooks_with_kwargs.clear()
    module._forward_hooks_always_called.clear()


def plain_run(model: nn.Module, images: Tensor) -> Tensor:
    """What a network itself gives for images in eval mode, without its hooks; it is left as it is."""
    return answer_of(hookless_copy(model, share=model.parameters()), images)


def find_tensor(model: nn.Module, name: str) -> Tensor | None:
    """Find a tensor of a module by its dotted name; None where there is no such attribute."""
    owner: Any = model
    for part in name.split("."):
        owner = getattr(owner, part, None)
        if owner is None:
            return None
    return owner if isinstance(owner, Tensor) else None


def tied_names(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """All names of each parameter and buffer: those that are tied, or of a module with two names, are one tensor."""
    by_identity: dict[int, list[str]] = {}
    for name, tensor in (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ):
        by_identity.setdefault(id(tensor), []).append(name)
    return {name: tuple(names) for names in by_identity.values() for name in names}


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or what kind of error it is."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()


def first_parameter(model: nn.Module) -> Tensor:
    """A tensor with the data type and device of a network."""
    return next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))


def device_of(model: nn.Module) -> torch.device:
    """The device of a network's parameters; the CPU for one without."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))

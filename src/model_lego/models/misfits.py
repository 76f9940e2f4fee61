"""Why a file's tensors are not a network's: the cause first, then names and shapes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model_lego.models.fitting import COUNTERS, Fit

#: Floats that mean what they say; smaller ones have scales elsewhere.
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def unreadable(tensor: Tensor, wanted: Tensor) -> str | None:
    """Why a file's tensor cannot be read as what a network has in its place; None where it can."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_quantized or (wanted.is_floating_point() and tensor.dtype not in FLOATS):
        return f"is {kind}, where the network has floats: give the weights of before they were quantised or encoded"
    if tensor.layout != torch.strided:
        return "is sparse; save it as a plain tensor, by .to_dense()"
    if tensor.is_meta:
        return "has no values: it was saved from the meta device"
    if tensor.is_floating_point() and not wanted.is_floating_point() and bool((tensor != tensor.round()).any()):
        return f"has fractions, where the network has {str(wanted.dtype).removeprefix('torch.')}"
    return None


def misfit(fit: Fit, wanted: Mapping[str, Tensor]) -> str:
    """Why tensors do not fit a network's: what seems to be the cause, and which they are."""
    if not any(name in wanted for name in fit.tensors):
        return _of_another(fit, wanted)
    details = [
        f"it misses {some(fit.missing)}" if fit.missing else "",
        f"it has {some(fit.extra)} that the network does not" if fit.extra else "",
        f"{_shapes(fit, wanted)}" if fit.misshapen else "",
    ]
    return "; ".join(filter(None, [_cause(fit, wanted), *details]))


def _cause(fit: Fit, wanted: Mapping[str, Tensor]) -> str:
    if any(name.endswith(".zero_point") for name in fit.extra):
        return "its layers are quantised; give the weights of before"
    if fit.missing or fit.extra:
        lacks = modules(fit.missing)
        alone = len(lacks) == 1 and not any(name.startswith(f"{lacks[0]}.") for name in fit.tensors)
        if alone and not fit.extra and not fit.misshapen:
            return f"its names fit less '{lacks[0]}.*', which it does not have"
        common = sum(name in wanted for name in fit.tensors)
        return f"{common} of its {len(fit.tensors)} names are among the network's {len(wanted)}"
    differ = f"{len(fit.misshapen)} of {len(wanted)} shapes do not: of another width or size, perhaps"
    return _head(fit, wanted) or f"its names fit, but {differ}"


def _of_another(fit: Fit, wanted: Mapping[str, Tensor]) -> str:
    """Where no name is the network's: these may be behind a prefix of its own."""
    first = next(iter(wanted), "")
    for dot in (place for place, letter in enumerate(first) if letter == "."):
        prefix = first[: dot + 1]
        if all(name.startswith(prefix) and name.removeprefix(prefix) in fit.tensors for name in wanted):
            return (
                f"its names are the network's without '{prefix}': load it into the network inside, at '{prefix[:-1]}'"
            )
    theirs = sorted(fit.tensors, key=lambda name: name.endswith(COUNTERS))  # which say less than others
    return f"it is of another network: it has {some(tuple(theirs))}, where this has {some(tuple(wanted))}"


def _head(fit: Fit, wanted: Mapping[str, Tensor]) -> str | None:
    """Where other numbers of classes are all that differs."""
    pairs = {(fit.tensors[name].shape[:1], wanted[name].shape[:1]) for name in fit.misshapen}
    rest = all(fit.tensors[name].shape[1:] == wanted[name].shape[1:] for name in fit.misshapen)
    if len(pairs) != 1 or not rest:
        return None
    ((there, here),) = pairs
    if not there or not here:
        return None
    heads = " and ".join(f"'{module}.*'" for module in modules(fit.misshapen))
    classes = f"{there[0]} classes there and {here[0]} here"
    return f"its names fit less {heads}, which have {classes}; build the network with num_classes={there[0]}"


def _shapes(fit: Fit, wanted: Mapping[str, Tensor]) -> str:
    name = fit.misshapen[0]
    more = f", and {len(fit.misshapen) - 1} more differ" if len(fit.misshapen) > 1 else ""
    return f"'{name}' has shape {tuple(fit.tensors[name].shape)}, the network's {tuple(wanted[name].shape)}{more}"


def modules(names: tuple[str, ...]) -> list[str]:
    """The modules that some tensors belong to."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


def some(names: tuple[str, ...]) -> str:
    """The first of some names, and how many there are."""
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

"""Load trained weights into a network, from a file as people have them, or read the number of classes off them."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from model_lego.errors import BadWeights
from model_lego.models.fitting import USUAL, Fit, StateDict, fits, state_dicts
from model_lego.models.misfits import misfit, some, unreadable
from model_lego.models.weights_file import held

#: What networks call the module of their last layer.
HEADS = frozenset({"classifier", "fc", "head", "linear", "last_linear"})


def load_weights(model: nn.Module, path: str | Path, *, key: str | None = None) -> nn.Module:
    """Load weights into a network, converted to its data type; all or nothing.

    A file may hold them in any place and behind any prefix of their names: the network's own names decide. Where
    several fit, those of the file itself, "state_dict", "model_state_dict", "model", "net" and "network" come first, in
    this order, then what comes first in the file; `key` takes those at a dotted path, such as "ema". What was chosen or
    left out is a warning. Raises BadWeights.
    """
    wanted = _wanted(model)
    held_against = fits(_found(Path(path), key), model)
    fitting = [fit for fit in held_against if not fit.faults]
    chosen = (fitting or sorted(held_against, key=_distance))[0]
    for name, tensor in chosen.tensors.items():
        if name in wanted and (what := unreadable(tensor, wanted[name])):
            raise BadWeights(f"'{name}' in '{path}' {what}")
    if not fitting:
        raise BadWeights(f"'{path}' does not fit {type(model).__name__}: {misfit(chosen, wanted)}")
    converted = {name: tensor.to(wanted[name].dtype) for name, tensor in chosen.tensors.items()}
    for name, tensor in converted.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadWeights(f"'{name}' in '{path}' contains NaN or infinite values")
    model.load_state_dict(wanted | converted)  # what may be missing stays, or is tied to what is there
    if note := _note(chosen, fitting[1:]):
        warnings.warn(f"'{path}': {note}", stacklevel=2)
    return model


def infer_classes(path: str | Path, *, key: str | None = None) -> int | None:
    """Number of classes, read off the last matrix of the head in a weights file; None where there is none.

    A head is called classifier, fc, head, linear or last_linear, and is a linear layer or a 1 x 1 convolution; of
    several the outermost counts. Where nothing is called so, it is the last matrix in the order of the file's names. Of
    several state dicts the largest counts, or that at the dotted path `key`. Raises BadWeights.
    """
    weights = _bare(max(_found(Path(path), key), key=lambda each: len(each.tensors)).tensors)
    mixing = {name: tensor for name, tensor in weights.items() if tensor.dim() in (2, 4) and name.endswith("weight")}
    depths = {name: depth for name in mixing if (depth := _depth(name))}
    heads = [name for name, depth in depths.items() if depth == min(depths.values())]
    matrices = [name for name, tensor in mixing.items() if tensor.dim() == 2]
    in_order = sorted(heads or matrices, key=_natural)
    return int(mixing[in_order[-1]].shape[0]) if in_order else None


def _bare(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors without a prefix that all of their names have."""
    paths, shared = [name.split(".")[:-1] for name in tensors], 0
    while all(path[shared : shared + 1] == paths[0][shared : shared + 1] != [] for path in paths):
        shared += 1
    return {".".join(name.split(".")[shared:]): tensor for name, tensor in tensors.items()}


def _depth(name: str) -> tuple[int, int] | None:
    """How deep a tensor lies in a network, and how deep within what is called a head; None where nothing is."""
    modules = name.split(".")[:-1]
    heads = [place for place, module in enumerate(modules) if module in HEADS]
    return (len(modules), len(modules) - heads[-1]) if heads else None


def _wanted(model: nn.Module) -> dict[str, Tensor]:
    """A network's tensors by name; raises BadWeights for a network that weights cannot be loaded into."""
    wanted, kind = model.state_dict(), type(model).__name__
    for name, tensor in wanted.items():
        if not isinstance(tensor, Tensor) or tensor.is_quantized:
            raise BadWeights(f"{kind} cannot be given weights: its '{name}' is no tensor of floats; is it quantised?")
        if is_lazy(tensor):
            raise BadWeights(f"{kind} cannot be given weights: '{name}' has no shape yet; run it on images first")
        if tensor.is_meta:
            raise BadWeights(f"{kind} cannot be given weights: it is on the meta device; build it on another")
    return dict(wanted)


def _found(path: Path, key: str | None) -> list[StateDict]:
    """The state dicts in a file; raises BadWeights where there are none."""
    what = held(path)
    everywhere = state_dicts(what)
    if not everywhere:
        raise BadWeights(f"'{path}' holds a {type(what).__name__}, not a state dict of tensors")
    found = everywhere if key is None else state_dicts(what, key)
    if not found:
        places = [each.place for each in everywhere if each.place] or [next(iter(everywhere[0].tensors))]
        known = "', '".join(dict.fromkeys(places[:5]))
        raise BadWeights(f"'{path}' has no weights at '{key}'; it has '{known}'")
    return found


def _distance(fit: Fit) -> tuple[int, int]:
    """How far tensors are from fitting; of those that are as far, the most come first."""
    return len(fit.missing) + len(fit.misshapen), -len(fit.tensors)


def _note(chosen: Fit, others: Sequence[Fit]) -> str:
    """What was chosen and left out; nothing where a file holds the network's weights and no others."""
    different = [fit for fit in others if not _same(fit.tensors, chosen.tensors)]
    place = f"at '{chosen.under}'" if chosen.under else "of the file itself"
    said = [
        f"weights are those {place}" if chosen.prefix or chosen.place not in USUAL or different else "",
        f"left out is {some(chosen.beside)}" if chosen.beside else "",
        f"'{different[0].under}' fits as well, which --weights-key or key= takes" if different else "",
    ]
    return "; ".join(filter(None, said))


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Order `layer10` behind `layer2`."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in name.split("."))

"""Read trained weights: safetensors, or a state dict through torch's weights-only loader. No pickle is executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model_lego.errors import BadWeights

#: What networks call the module of their last layer.
HEADS = frozenset({"classifier", "fc", "head", "linear", "last_linear"})


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict; raises BadWeights for anything else, FileNotFoundError."""
    path = Path(path)
    held = _held(path)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping) or not all(isinstance(value, Tensor) for value in held.values()):
        raise BadWeights(f"'{path}' holds a {type(held).__name__}, not a state dict of tensors")
    prefix = "module."
    if held and all(name.startswith(prefix) for name in held):
        return {name.removeprefix(prefix): tensor for name, tensor in held.items()}
    return dict(held)


def _held(path: Path) -> Any:
    """What a weights file holds."""
    if not path.is_file():
        raise BadWeights(f"weights file '{path}' does not exist")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise BadWeights(f"'{path}' is no safetensors file: {error}") from error
    except Exception as error:
        raise BadWeights(
            f"'{path}' is not a plain state dict (a pickle of a whole module, perhaps); "
            "save model.state_dict(), best as safetensors"
        ) from error


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Load weights into a network, converted to its data type; all or nothing. Raises BadWeights."""
    weights = read_weights(path)
    wanted = model.state_dict()
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}  # older files have none
    missing, extra = sorted(wanted.keys() - weights.keys() - counters), sorted(weights.keys() - wanted.keys())
    if missing or extra:
        what = f"misses {_some(missing)}" if missing else f"has {_some(extra)} that the network does not"
        raise BadWeights(f"'{path}' does not fit {type(model).__name__}: it {what}")
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            raise BadWeights(
                f"'{path}' does not fit {type(model).__name__}: '{name}' has shape {tuple(tensor.shape)}, "
                f"the network's {tuple(wanted[name].shape)}"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadWeights(f"'{name}' in '{path}' contains NaN or infinite values")
    converted = {name: tensor.to(wanted[name].dtype) for name, tensor in weights.items()}
    model.load_state_dict({name: wanted[name] for name in counters} | converted)
    return model


def infer_classes(path: str | Path) -> int | None:
    """Number of classes, read off the last matrix of the head in a weights file; None where there is none.

    A head is called classifier, fc, head, linear or last_linear, and is a linear layer or a 1 x 1 convolution; where
    nothing is called so, it is the last matrix in the order of the file's names.
    """
    weights = read_weights(path)
    mixing = {name: tensor for name, tensor in weights.items() if tensor.dim() in (2, 4) and name.endswith("weight")}
    heads = [name for name in mixing if HEADS.intersection(name.split(".")[:-1])]
    matrices = [name for name, tensor in mixing.items() if tensor.dim() == 2]
    in_order = sorted(heads or matrices, key=_natural)
    return int(mixing[in_order[-1]].shape[0]) if in_order else None


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Order `layer10` behind `layer2`."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in name.split("."))


def _some(names: list[str]) -> str:
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

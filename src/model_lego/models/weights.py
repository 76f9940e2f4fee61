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
    if not path.is_file():
        raise BadWeights(f"weights file '{path}' does not exist")
    try:
        found: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(
            path, map_location="cpu", weights_only=True
        )  # fmt: skip
    except SafetensorError as error:
        raise BadWeights(f"'{path}' is no safetensors file: {error}") from error
    except Exception as error:
        raise BadWeights(
            f"'{path}' is not a plain state dict (a pickle of a whole module, perhaps); "
            "save model.state_dict(), best as safetensors"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise BadWeights(f"'{path}' holds a {type(found).__name__}, not a state dict of tensors")
    prefix = "module."
    if found and all(name.startswith(prefix) for name in found):
        return {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return dict(found)


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
    found = sorted(heads or matrices, key=_natural)
    return int(mixing[found[-1]].shape[0]) if found else None


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Order `layer10` behind `layer2`."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in name.split("."))


def _some(names: list[str]) -> str:
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

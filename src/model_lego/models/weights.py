"""Read trained weights: safetensors, or a state dict through torch's weights-only loader. No pickle is executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model_lego.errors import BadWeights


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
    missing, extra = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
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
    model.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in weights.items()})
    return model


def infer_classes(path: str | Path) -> int | None:
    """Number of classes, read off the last bias or matrix of a weights file; None where there is none."""
    names = [name for name, tensor in read_weights(path).items() if tensor.dim() in (1, 2) and "running" not in name]
    weights = read_weights(path)
    return int(weights[sorted(names, key=_natural)[-1]].shape[0]) if names else None


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Order `layer10` behind `layer2`; heads are called classifier, fc, head or linear, which sort late or alone."""
    head = any(part in ("classifier", "fc", "head", "linear") for part in name.split("."))
    parts = tuple((0, int(p)) if p.isdigit() else (1, p) for p in name.split("."))
    return ((int(head), 0), *parts)


def _some(names: list[str]) -> str:
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

"""All tensors of a network under their dotted names: parameters, buffers and plain attributes."""

from collections.abc import Mapping

from torch import Tensor, nn

from model_lego.graph.channels_last import is_innermost, laid_innermost
from model_lego.models.node_classifier import NodeClassifier


def named_tensors(root: nn.Module) -> dict[str, Tensor]:
    """List every tensor of `root`, also under each further name of a tied tensor or an aliased layer.

    Plain attributes that were computed from other tensors (they have a `grad_fn`) are not state and are left out.
    """
    found: dict[str, Tensor] = {}
    for path, owner in root.named_modules(remove_duplicate=False):
        here = dict(owner.named_parameters(recurse=False, remove_duplicate=False))
        here |= dict(owner.named_buffers(recurse=False, remove_duplicate=False))
        here |= {name: value for name, value in vars(owner).items() if isinstance(value, Tensor) and not value.grad_fn}
        if isinstance(owner, NodeClassifier):  # on what it runs is data: no part of a network, nor of its file
            here = {name: tensor for name, tensor in here.items() if name not in owner.graph_tensors}
        found |= {f"{path}.{name}" if path else name: tensor for name, tensor in here.items()}
    return found


def split_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Keep one name a tensor object, the first in sorted order; give the others as name -> kept name."""
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for name in sorted(tensors):
        kept = first.setdefault(id(tensors[name]), name)
        if kept != name:
            aliases[name] = kept
    return {name: tensors[name] for name in sorted(first.values())}, aliases


def is_channels_last(module: nn.Module) -> bool:
    """Tell whether the 4-d tensors of `module` lie in channels-last order."""
    return any(map(is_innermost, named_tensors(module).values()))


def to_channels_last(tensor: Tensor) -> Tensor:
    """Lay a 4-d tensor out in channels-last order; give others back as they are."""
    return laid_innermost(tensor) if tensor.dim() == 4 else tensor


def dtype_name(tensor: Tensor) -> str:
    """Name a tensor's data type as in `torch.float32`, without the `torch.`."""
    return str(tensor.dtype).removeprefix("torch.")

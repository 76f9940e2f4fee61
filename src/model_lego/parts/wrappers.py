"""Networks inside of wrappers that change nothing about what they give."""

from torch import nn
from torch.optim.swa_utils import AveragedModel


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside of DataParallel, DistributedDataParallel, AveragedModel and torch.compile, however nested.

    What is cut, saved and given back is this network; any other module is given as it is.
    """
    while (inner := _inner(model)) is not None:
        model = inner
    return model


def _inner(model: nn.Module) -> nn.Module | None:
    if type(model) in (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel):
        return model._modules.get("module")
    return model._modules.get("_orig_mod") if type(model).__name__ == "OptimizedModule" else None

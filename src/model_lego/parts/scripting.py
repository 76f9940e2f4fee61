"""What torch.jit.script is told of a part: TorchScript has no words for its preprocessing, its types and its head."""

from typing import NoReturn

from torch import nn

from model_lego.errors import RefusedError


class Unscripted(nn.Module):
    """A module that can be traced, exported and compiled, but not scripted."""

    def __prepare_scriptable__(self) -> NoReturn:
        """Called by torch.jit.script, also for a module around this one; raises RefusedError."""
        raise RefusedError(
            f"{type(self).__name__} cannot be scripted; torch.jit.trace it, or script the .module of a component"
        )

"""Channels-last: the layout in memory with which the convolutions and pools of a CPU are fastest."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.graph.program import Program, Runner

aten = torch.ops.aten

#: Views of a channels-last tensor have to be copies.
COPIES: Mapping[Any, Callable[..., Any]] = {aten.view.default: aten.reshape.default}


class InnermostRunner(Runner):
    """Runs the graph on tensors that may be channels-last."""

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator."""
        return super().call_function(COPIES.get(target, target), args, kwargs)


def pays(program: Program, model: nn.Module) -> bool:
    """Whether a network is faster so: in float32, over images, on a CPU."""
    tensors = [tensor for tensor in model.parameters() if tensor.is_floating_point()]
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    return bool(tensors) and plain and len(program.image_shape) == 3


def innermost(tensor: Tensor) -> Tensor:
    """A tensor as channels-last, if it has four dimensions."""
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

"""Channels-last: the layout in memory with which the convolutions and pools of a CPU are fastest."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.graph.program import Program, Runner

aten = torch.ops.aten

#: Views of a channels-last tensor have to be copies.
COPIES: Mapping[Any, Callable[..., Any]] = {
    aten.view.default: aten.reshape.default,
    aten.view_as.default: aten.reshape_as.default,
}


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


def is_innermost(tensor: Tensor) -> bool:
    """Whether a tensor of four dimensions lies channels-last, told from plain order where sizes of 1 suit both.

    Torch chooses by the strides, and gives other last bits.
    """
    if tensor.dim() != 4:
        return False
    _, channels, height, width = tensor.shape
    strides = tensor.stride()
    plain = (channels * height * width, height * width, width, 1)
    return strides == (channels * height * width, 1, width * channels, channels) != plain


def laid_innermost(tensor: Tensor) -> Tensor:
    """A copy of a tensor of four dimensions that lies channels-last, also where its sizes suit plain order."""
    return tensor.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)


def innermost(tensor: Tensor) -> Tensor:
    """A tensor as channels-last, if it has four dimensions."""
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

"""Layers in front of an addition: they are fitted to the source's sum, less what the component's other branch gives.

What is lost on the way to a residual stream is made up for by the next layer that writes to it.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from model_lego.repairing.side import Side

aten = torch.ops.aten

#: A BatchNorm that scales a channel by no more than this share of its largest scale lets no layer in front make up.
FAINT = 1e-3


@dataclass(frozen=True, slots=True)
class Addition:
    """What follows a layer that writes one side of an addition: perhaps a BatchNorm, then the sum with `other`."""

    norm: fx.Node | None
    other: fx.Node

    def scale(self, side: Side) -> Tensor | float:
        """What the BatchNorm multiplies each channel with."""
        if self.norm is None:
            return 1.0
        weight, _, _, variance = (_tensor(side, argument) for argument in self.norm.args[1:5])
        assert variance is not None  # eval mode
        eps: Any = self.norm.args[7]
        scale: Tensor = (variance + eps).rsqrt()
        return scale if weight is None else scale * weight


def addition_behind(node: fx.Node) -> Addition | None:
    """The addition that a layer's operator writes to, if nothing else reads what it gives."""
    norm, at = None, node
    reader = _only_reader(at)
    if reader is not None and reader.target is aten.batch_norm.default and reader.args[0] is at:
        norm, at, reader = reader, reader, _only_reader(reader)
    if reader is None or reader.target not in (aten.add.Tensor, aten.add_.Tensor) or reader.kwargs:
        return None
    others = [argument for argument in reader.args if argument is not at]
    if len(others) != 1 or not isinstance(others[0], fx.Node):
        return None
    alike = others[0].meta["val"].shape == node.meta["val"].shape
    return Addition(norm, others[0]) if alike else None


def made_up(missing: Tensor, scale: Tensor | float, groups: int) -> Tensor:
    """What a layer has to give so that a sum gets what it misses (groups x rows x outputs), through its BatchNorm."""
    if not isinstance(scale, Tensor):
        return missing
    scale = scale.reshape(groups, 1, -1)
    faint = scale.abs() <= FAINT * scale.abs().max()  # all of them, where training begins with zeros
    return torch.where(faint, 0.0, missing / torch.where(faint, 1.0, scale))


def _only_reader(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _tensor(side: Side, argument: Any) -> Tensor | None:
    return side.program.tensor(side.model, side.program.tensors[argument.name]) if argument is not None else None

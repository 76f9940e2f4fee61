"""What an exported file takes and gives, and the module that does so: a part, or a part from pixels on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from model_lego.errors import RefusedError, TraceFailed
from model_lego.graph.modules import first_line, first_parameter, hookless_copy
from model_lego.models.node_classifier import NodeClassifier
from model_lego.parts.assembly import Part, leaves
from model_lego.parts.image_shapes import common_preprocessing, taken_by
from model_lego.parts.preprocessing import Preprocessing

#: Images of the example that is exported: with one, torch would take the number for a constant.
EXAMPLE = 2


class FromFloats(nn.Module):
    """A part as it is: floats, N x C x H x W, to logits."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part

    def forward(self, images: Tensor) -> Tensor:
        """Logits, N x classes."""
        return self.part(images)  # type: ignore[no-any-return]


class FromPixels(nn.Module):
    """A part behind its preprocessing: bytes, N x H x W x C, to probabilities, as `predict` gives them."""

    def __init__(self, part: Part, taking: Preprocessing) -> None:
        super().__init__()
        self.part, self.taking, self.dtype = part, taking, first_parameter(part).dtype

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities, N x classes."""
        images = self.taking.resized(images.permute(0, 3, 1, 2).to(self.dtype) / 255)
        return self.part(images).softmax(1)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Writable:
    """A module as it is written: its example, notes for people and programs, and the wanted opset."""

    module: nn.Module
    example: Tensor
    notes: Mapping[str, str] = field(default_factory=dict)
    opset: int | None = None

    @property
    def pixels(self) -> bool:
        """Whether it takes bytes and gives probabilities."""
        return isinstance(self.module, FromPixels)

    @property
    def gives(self) -> str:
        """What comes out."""
        return "probabilities" if self.pixels else "logits"

    def program(self, sizes: Mapping[int, Any] | None = None) -> torch.export.ExportedProgram:
        """The graph, for any number of images, and of pixels for any size, unless `sizes` says otherwise.

        Raises TraceFailed.
        """
        free = self.free() if sizes is None else sizes
        try:
            return torch.export.export(self.module, (self.example,), dynamic_shapes=(dict(free),), strict=False)
        except Exception as error:
            raise TraceFailed(f"torch.export cannot follow the part: {first_line(error)}") from error

    def free(self) -> dict[int, Any]:
        """The dimensions that may have any size."""
        dims = {0: torch.export.Dim.DYNAMIC}
        return dims | ({1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC} if self.pixels else {})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Exportable(Writable):
    """A part as it is exported."""

    part: Part


def wrapped(part: Part, *, pixels: bool) -> tuple[nn.Module, Tensor]:
    """The module that is exported of a part, on the CPU, and an example of what it takes; raises RefusedError."""
    if any(isinstance(leaf.module, NodeClassifier) for leaf in leaves(part)):
        raise RefusedError("a network over the nodes of one graph takes no images, so it is not exported; use save")
    twin = cast(Part, hookless_copy(part)).cpu().eval().requires_grad_(False)
    shape = fixed_shape(part)
    if not pixels:
        return FromFloats(twin).eval(), torch.zeros(EXAMPLE, *shape, dtype=first_parameter(twin).dtype)
    if len(shape) != 3:
        raise RefusedError(f"the network takes {shape}, which is no picture: leave with_preprocessing out")
    channels, height, width = shape
    # Sides that differ from each other and from the final ones, so that none of them is taken for a constant.
    example = torch.zeros(EXAMPLE, height + 3, width + 5, channels, dtype=torch.uint8)
    return FromPixels(twin, taking(part)).eval(), example


def fixed_shape(part: Part) -> tuple[int, ...]:
    """Channels, height and width of the images that a part is exported for: those that it does not resize."""
    first = next(leaves(part)).origin.input_shape
    taken, common = taken_by(part), common_preprocessing(part)
    if common is not None and None in taken and common.final_size is not None:
        return (first[0], *common.final_size)
    return tuple(own if side is None else side for side, own in zip(taken, first, strict=True))


def taking(part: Part) -> Preprocessing:
    """How a part takes pixels of any size: as it resizes, else brought to the size of its network."""
    _, height, width = fixed_shape(part)
    return common_preprocessing(part) or Preprocessing(size=(height, width))

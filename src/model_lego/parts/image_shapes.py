"""The shape of the images that a network, a component or an assembly takes."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from model_lego.errors import ShapeMismatch
from model_lego.parts.assembly import Assembly, leaves
from model_lego.parts.component import Component
from model_lego.parts.preprocessing import Preprocessing

#: Of an image: channels x height x width, None where any length will do.
Shape = tuple[int | None, ...]


def taken(shape: tuple[int, ...], preprocessing: Preprocessing | None) -> Shape:
    """Shape of the images that are given to a network which sees `shape`: of any size where they are resized for it."""
    resizes = preprocessing is not None and preprocessing.final_size is not None
    return (shape[0], *(None if resizes else side for side in shape[1:]))


def filled(preprocessing: Preprocessing | None, shape: tuple[int, ...]) -> Preprocessing:
    """How single pictures of any size are taken: where nothing is said of it, in the size that the network sees."""
    known = preprocessing or Preprocessing()
    return known if known.final_size else replace(known, size=(shape[1], shape[2]))


def taken_by(*parts: Component | Assembly) -> Shape:
    """Shape of the images that parts are given alike: that of the first which does not resize, else of any size."""
    shapes = [taken(network.origin.input_shape, network.preprocessing) for network in leaves(*parts)]
    return next((shape for shape in shapes if None not in shape), shapes[0])


def common_preprocessing(*parts: Component | Assembly) -> Preprocessing | None:
    """How picture files are brought to a size for parts: as the part with the largest takes them, which all then get.

    None where one of them does not resize.
    """
    known = [network.preprocessing for network in leaves(*parts)]
    sizes = {each: each.final_size for each in known if each is not None}
    if None in known or None in sizes.values():
        return None
    return max(sizes, key=lambda each: math.prod(sizes[each] or ()))


def check_shape(what: str, images: Tensor, shape: Shape, *, whose: str = "the network takes") -> None:
    """Refuse images (batch x channels x height x width) of another shape; raises ShapeMismatch about `what`."""
    given = tuple(images.shape[1:])
    if len(given) != len(shape) or any(want not in (None, side) for side, want in zip(given, shape, strict=True)):
        wanted = str(shape).replace("None", "any")
        raise ShapeMismatch(f"{what} have shape {given}, but {whose} {wanted} (channels x height x width)")


def noise_of(shape: tuple[int, ...]) -> Tensor:
    """Two random images of a shape in 0..1, always the same: float64."""
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

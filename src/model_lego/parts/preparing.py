"""Images as a network expects them: scaled to 0..1 and normalised, with as many channels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model_lego.errors import BadBatches, ShapeMismatch
from model_lego.pictures.geometry import traced

#: Floats beyond this are no images in 0..1, not even normalised ones.
BEYOND = 10.0


def scaled(images: Tensor) -> Tensor:
    """Images in 0..1: uint8 is divided by 255, floats stay. Raises BadBatches for what is neither.

    While a network is exported, compiled or traced there are no values to look at.
    """
    if images.dtype == torch.uint8:
        return images / 255
    if not images.is_floating_point():
        raise BadBatches(f"images are {images.dtype}; give uint8 in 0..255, or floats scaled to 0..1")
    unknown = traced() or torch.compiler.is_compiling() or images.is_meta
    if not unknown and images.numel() and float(images.detach().abs().amax()) > BEYOND:
        raise BadBatches(
            f"images have values from {float(images.min()):g} to {float(images.max()):g}, where floats scaled to 0..1 "
            "are normalised: divide them by 255, or give uint8"
        )
    return images


def check_channels(images: Tensor, means: int) -> None:
    """Refuse images of another number of channels than there are means; one serves them all. Raises ShapeMismatch."""
    if not traced() and means > 1 and images.shape[1] != means:
        raise ShapeMismatch(
            f"images have shape {tuple(images.shape[1:])}, but the preprocessing has {means} means; "
            "give one for each channel"
        )


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images (batch x channels x height x width) less the mean, by the deviation; as they are without a mean."""
    if not mean:
        return images
    return (images - images.new_tensor(mean)[:, None, None]) / images.new_tensor(std)[:, None, None]

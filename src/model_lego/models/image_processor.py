"""What an image processor of transformers does with an image, as a `Preprocessing`, proved on an image."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.errors import LegoError
from model_lego.parts.preprocessing import Preprocessing

#: Ways to resample, by their numbers in PIL; the others are near to bicubic.
RESAMPLING: dict[int, Any] = {0: "nearest", 2: "bilinear", 3: "bicubic"}
#: Below this side an image is resized larger and cropped, by processors that have a share to crop to.
CROPPED_BELOW = 384
#: The mean difference, in deviations, of pixels that are taken alike: each library rounds in its own way.
ALIKE = 0.02


def preprocessing_of(processor: Any) -> Preprocessing | None:
    """The preprocessing that gives what the processor gives; None where there is none."""
    try:
        said = _said(processor)
        found = said(_photo())
    except (LegoError, KeyError, TypeError, ZeroDivisionError):
        return None
    wanted: Tensor = processor(_photo()[0], return_tensors="pt")["pixel_values"]
    alike = found.shape == wanted.shape and float((found - wanted).abs().mean()) < ALIKE
    return said if alike else None


def _said(processor: Any) -> Preprocessing:
    """What its settings say."""
    mean, std = _normalisation(processor)
    size, crop = _geometry(processor)
    return Preprocessing(mean, std, size, crop, interpolation=RESAMPLING.get(int(processor.resample or 2), "bicubic"))


def _normalisation(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of images in 0..1, to which pixels of 0..255 may be scaled by another factor than 1/255."""
    scale = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
        return tuple(each / scale for each in mean), tuple(each / scale for each in std)
    return ((), ()) if abs(scale - 1) < 1e-6 else ((0.0,), (1 / scale,))


def _geometry(processor: Any) -> tuple[Any, Any]:
    """Size and crop."""
    if not processor.do_resize:
        return None, None
    size, shorter = dict(processor.size), dict(processor.size).get("shortest_edge")
    if shorter and (share := getattr(processor, "crop_pct", None)):
        return (int(shorter / share), (shorter, shorter)) if shorter < CROPPED_BELOW else ((shorter, shorter), None)
    whole = shorter or (size["height"], size["width"])
    middle = dict(processor.crop_size) if getattr(processor, "do_center_crop", None) else None
    return whole, middle and (middle["height"], middle["width"])


def _photo() -> Tensor:
    """A smooth image in pixels of 0..255, always the same, higher than wide: batch of one x 3 x height x width."""
    small = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    return (255 * F.interpolate(small, (640, 480), mode="bilinear")).round().to(torch.uint8)

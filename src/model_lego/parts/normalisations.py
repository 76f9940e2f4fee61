"""Normalisations that have a name: what many networks were trained with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_Numbers = tuple[float, ...]
#: Name -> mean and standard deviation of each channel.
NORMALISATIONS: Mapping[str, tuple[_Numbers, _Numbers]] = MappingProxyType(
    {
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        "half": ((0.5,), (0.5,)),
    }
)


def named(mean: Any, std: Any) -> tuple[Any, Any]:
    """Mean and standard deviation, where one of them is a name that of this name; a name alone stands for both."""
    if isinstance(mean, str) and std == ():
        std = mean
    if isinstance(std, str) and mean == ():
        mean = std
    return (
        NORMALISATIONS[mean][0] if _is_name(mean) else mean,
        NORMALISATIONS[std][1] if _is_name(std) else std,
    )


def _is_name(given: Any) -> bool:
    return isinstance(given, str) and given in NORMALISATIONS

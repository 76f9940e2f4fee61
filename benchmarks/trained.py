"""The trained networks and the images that benchmarks, tables and tests share, opened in one way.

They are those of the recipes of the tables at CPU scale, and some more of the zoo. Weights lie in the folder `zoo` of
the benchmark data, or with the results of the tables. `python -m benchmarks.trained NAME …` trains one of its recipes
into `build/sources`, of which `tools/keep_weights.py` keeps it.
"""

import sys
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

import model_lego as ml
from benchmarks.common import ROOT, shared, shared_folder
from model_lego.data import DataSplit
from model_lego.tables.bench import Bench, Source
from model_lego.tables.recipe import Materials, SourceRecipe
from model_lego.tables.recipes import read_recipes

#: The classes of CIFAR-10, and those of the two networks that know half of them.
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HALVES = (NAMES[:5], NAMES[5:])
#: VGG-16 at half width: of classes 0 to 4, of classes 5 to 9, and one that was never shown a cat.
FIRST, SECOND, WITHOUT_CAT = (f"vgg16-half-cifar10-{which}" for which in ("0to4", "5to9", "0to4-without-cat"))
#: The layer of these that gives the logits, and what they expect of an image.
LAST = "classifier.6"
NORMAL = ml.Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
DATA = "data/cifar10-15k.npz"
#: Where `tools/keep_weights.py` puts the networks that the tables trained.
KEPT = ROOT / "docs" / "results" / "sources"
BATCH = 250
ABSENT = "the trained networks and CIFAR-10 are not here (set MODEL_LEGO_SHARED)"
#: Expansion, channels, blocks and stride of MobileNetV2's stages, for images of 32 pixels.
MOBILE_BLOCKS = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]
#: How networks with LayerNorm are trained.
TOKENS = {"optimizer": "adamw", "weight_decay": 0.05, "smoothing": 0.1, "clip": 1.0}
#: Networks that no table is about.
MORE = {
    "resnet20-cifar10-akamaster": SourceRecipe(
        network="zoo:resnet20", data="cifar10", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), given=True
    ),
    "mobilenetv2-half-cifar10": SourceRecipe(
        network="torchvision:mobilenet_v2",
        data="cifar10",
        arguments={"width_mult": 0.5, "dropout": 0.0, "inverted_residual_setting": MOBILE_BLOCKS},
        mean=NORMAL.mean,
        std=NORMAL.std,
        training={"epochs": 50, "channels_last": True},
    ),
    "convnext-cifar10": SourceRecipe(
        network="timm:convnext_atto",
        data="cifar10",
        arguments={"dims": [32, 64, 128, 256], "patch_size": 2, "ls_init_value": 0.1},
        mean=NORMAL.mean,
        std=NORMAL.std,
        training=TOKENS | {"epochs": 60, "learning_rate": 0.002, "channels_last": True, "amp": True},
    ),
    "vit-cifar10": SourceRecipe(
        network="timm:vit_tiny_patch16_224",
        data="cifar10",
        arguments={"img_size": 32, "patch_size": 4, "embed_dim": 128, "depth": 6, "num_heads": 4},
        mean=NORMAL.mean,
        std=NORMAL.std,
        training=TOKENS | {"epochs": 24, "learning_rate": 0.001, "amp": True},
    ),
    WITHOUT_CAT: SourceRecipe(
        network="zoo:vgg16",
        data="cifar10",
        classes="0-2,4",
        arguments={"width": 0.5},
        mean=NORMAL.mean,
        std=NORMAL.std,
        given=True,
    ),
}


def cifar10() -> DataSplit | None:
    """All training and test images; None where they are not here."""
    return None if shared(DATA) is None else _bench(shared_folder()).split("cifar10")


def opened(name: str, *, memory_format: torch.memory_format = torch.contiguous_format) -> Source | None:
    """A trained network of its own, by the name of its recipe, with its images; None where one of both is not here."""
    bench = _bench(shared_folder())
    if shared(DATA) is None or bench.missing([name], seed=0):
        return None
    source = bench.source(name, seed=0)
    return replace(source, model=deepcopy(source.model).to(memory_format=memory_format), summed={})


@cache
def _bench(folder: Path) -> Bench:
    return Bench(_materials(), folder / "zoo", where={"cifar10": str(folder / DATA)}, kept=KEPT, trains=False)


def _materials() -> Materials:
    materials = read_recipes().materials["cpu"]
    return Materials(data=materials.data, sources={**materials.sources, **MORE})


def main(names: list[str]) -> None:
    """Train the networks of these names."""
    if shared(DATA) is None:
        sys.exit(ABSENT)
    bench = Bench(_materials(), ROOT / "build" / "sources", where={"cifar10": str(shared_folder() / DATA)})
    for name in names:
        bench.source(name, seed=0)


if __name__ == "__main__":
    main(sys.argv[1:])

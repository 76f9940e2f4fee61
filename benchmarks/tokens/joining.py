"""Five classes of a network of tokens and five of a convolutional one in one classifier, beside the uncut sources."""

from dataclasses import dataclass
from typing import Any

import model_lego as ml
from benchmarks.imagenet_pair import accuracy_of
from benchmarks.trained import BATCH, HALVES, SECOND, opened
from model_lego.data import batches, subset

#: What is left of the multiply-adds of each part; images of a class that the assembly is calibrated by.
SIZE, A_CLASS = 0.5, 100


@dataclass(frozen=True, slots=True)
class Pair:
    """Names of two trained networks: one of all classes, of which the first five are taken, one of the last five."""

    first: str
    second: str


PAIRS = {
    "ConvNeXt and VGG-16": Pair("convnext-cifar10", SECOND),
    "ViT and ResNet-50": Pair("vit-cifar10", "resnet50-quarter-cifar10-5to9"),
}


def measured(pair: Pair, seed: int) -> dict[str, Any] | None:
    """Accuracy in % of components and of their uncut sources, joined alike; None where a network is not here."""
    sources = [opened(pair.first), opened(pair.second)]
    if sources[0] is None or sources[1] is None:
        return None
    split = sources[0].split
    cut, uncut = [], []
    for source, classes in zip(sources, HALVES, strict=True):
        assert source is not None
        given: dict[str, Any] = {
            "classes": classes,
            "class_names": source.names,
            "preprocessing": source.preprocessing,
            "seed": seed,
        }
        cut.append(ml.disassemble(source.model, source.train, budget=ml.Budget(macs=SIZE), **given))
        uncut.append(ml.disassemble(source.model, source.train, budget=ml.Budget(macs=1.0), repair="none", **given))
    some = subset(split.train, range(len(split.class_names)), per_class=A_CLASS, seed=seed)
    calibration, test = batches(some, batch_size=BATCH), batches(split.test, batch_size=BATCH)
    return {"seed": seed, "macs": SIZE, "calibration_a_class": A_CLASS, "test_images": len(split.test)} | {
        f"{name}, {how}": accuracy_of(ml.assemble(parts, calibration=feed, seed=seed), test)
        for name, parts in (("components", cut), ("uncut sources", uncut))
        for how, feed in (("calibrated", calibration), ("as they are", None))
    }

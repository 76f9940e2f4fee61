"""Repair at the default cuts of several networks, on held-out training images: methods, images, options.

The half-width VGG-16 and the ResNet-20 of the zoo, and networks that `model-lego train` left in folders of `--sources`,
by default those that `model-lego bench tables` trained. No test image is looked at.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

import model_lego as ml
from benchmarks.accuracy import page
from benchmarks.accuracy.cases import HELD, Case, Network, opened
from benchmarks.accuracy.material import NAMES, NORMAL
from benchmarks.accuracy.refits import refitted, ways_for
from benchmarks.common import record, shared
from model_lego.data import open_data
from model_lego.data.sets import subset
from model_lego.models import build, load_weights
from model_lego.trained import RECORD, WEIGHTS

#: Numbers of calibration images; of fewer than a hundred, three samples.
COUNTS = (10, 30, 100, 300, 1000, 3000, 5000)
FEW = 100
#: Numbers of calibration images that other ways to fit are tried with, and how many samples of each.
FITTED = {10: 10, 30: 5, 300: 3}
#: Calibration images of the other comparisons.
IMAGES = 300
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ROWS = (3, 5, 10, 20)
#: Where the networks are that `model-lego bench tables` trained, and which of them, by the names of its recipes.
SOURCES = "build/sources"
FOLDERS = tuple(
    f"{network}-quarter-cifar10-{part}" for part in ("0to4", "5to9") for network in ("resnet50", "googlenet")
)
RESNET20 = ml.Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
ONE, MEAN, BN = (ml.RepairSettings(), ml.RepairSettings("mean"), ml.RepairSettings("bn"))
METHODS: dict[str, tuple[ml.RepairSettings, ...]] = {
    "none": (),
    "mean folding": (MEAN,),
    "BatchNorm re-estimation": (BN,),
    "mean folding, then BatchNorm": (MEAN, BN),
    "BatchNorm, then ridge": (BN, ONE),
    "ridge": (ONE,),
    "ridge, then BatchNorm": (ONE, BN),
}


def main(sources: str = SOURCES) -> None:
    """Run the benchmark; says what is skipped, and why."""
    data = shared("data/cifar10-15k.npz")
    if data is None:
        print("repair: skipped, CIFAR-10 is not here (set MODEL_LEGO_SHARED)")
        return
    split = open_data(data)
    train = subset(split.train, [split.class_names.index(name) for name in NAMES])
    for name, opener in networks(sources):
        source = opener()
        if isinstance(source, str):
            print(f"repair: {name} skipped, {source}", flush=True)
            note(name, page.last("repair").get(name) or {"skipped": source})
            continue
        found: dict[str, Any] = {}
        for more in measured(opened(source, train)):
            print(name, more, flush=True)
            found |= more
            note(name, found)


def note(name: str, found: dict[str, Any]) -> None:
    """Record what was found for a network so far, and write the page."""
    record("repair", {"tables": page.last("repair") | {name: found}, "held_out_a_class": HELD}, show=False)
    page.write()


def networks(sources: str) -> Iterator[tuple[str, Callable[[], Network | str]]]:
    """Names of networks, and what opens each: gives it, or the reason why not."""
    yield "vgg16-half-cifar10-0to4", partial(zoo, "vgg16-half-cifar10-0to4", "zoo:vgg16", NAMES[:5], NORMAL, width=0.5)
    yield "resnet20-cifar10", partial(zoo, "resnet20-cifar10-akamaster", "zoo:resnet20", NAMES, RESNET20)
    for folder in FOLDERS:
        yield folder, partial(trained, folder, sources)


def zoo(file: str, network: str, names: tuple[str, ...], normal: ml.Preprocessing, **arguments: Any) -> Network | str:
    """A network of the zoo."""
    weights = shared(f"zoo/{file}.safetensors")
    if weights is None:
        return "the zoo is not here (set MODEL_LEGO_SHARED)"
    model = load_weights(build(network, num_classes=len(names), **arguments), str(weights))
    return Network(model.eval(), names, normal)


def trained(folder: str, sources: str) -> Network | str:
    """A network that `model-lego train` wrote."""
    path = Path(sources) / folder
    if not (path / WEIGHTS).is_file():
        return f"not in the folder of --sources ({sources})"
    notes = json.loads((path / RECORD).read_text())
    model = load_weights(build(notes["network"], **notes["arguments"]), str(path / WEIGHTS))
    return Network(model.eval(), tuple(notes["classes"]), ml.Preprocessing(**notes["preprocessing"] or {}))


def measured(case: Case) -> Iterator[dict[str, Any]]:
    """All comparisons for one network, table by table."""
    own = case.own[:IMAGES]
    yield {
        "classes": list(case.classes),
        "restricted": case.restricted(),
        "parameters_percent": case.parameters_percent,
        "held_out_images": len(case.held),
        "images": IMAGES,
        "methods": {name: [case.accuracy(own, *settings)] for name, settings in METHODS.items()},
    }
    for pool, images in (("of its classes", case.own), ("of any class of the source", case.every)):
        yield {pool: counted(case, images)}
    yield {"fitted": fitted(case)}
    strengths = {str(value): [case.accuracy(own, ml.RepairSettings(strength=value))] for value in STRENGTHS}
    yield {"strength": strengths}
    yield {"rows": {str(rows): [case.accuracy(own, ml.RepairSettings(rows=rows, least_rows=1))] for rows in ROWS}}


def counted(case: Case, images: Tensor) -> dict[str, list[float]]:
    """Accuracy with each number of images that there are so many of."""
    found: dict[str, list[float]] = {}
    for count in COUNTS:
        if count <= len(images):
            samples = 3 if count < FEW else 1
            found[str(count)] = [case.accuracy(images[start * count :][:count], ONE) for start in range(samples)]
    return found


def fitted(case: Case) -> dict[str, dict[str, dict[str, list[float]]]]:
    """The default and other ways to fit, on the same samples of images: accuracy, and how far the logits are off."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for count, many in FITTED.items():
        some = [case.own[sample * count :][:count] for sample in range(many)]
        found[str(count)] = here = {}
        for name, way in ways_for(case).items():
            modules = [refitted(case, images, way) for images in some]
            here[name] = {"right": [case.right(each) for each in modules], "off": [case.off(each) for each in modules]}
    return found

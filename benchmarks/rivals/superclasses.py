"""Twenty components of five classes each from one network of 100 classes: superclasses of CIFAR-100, as SeaM has."""

from statistics import mean
from typing import Any

import torch

import model_lego as ml
from benchmarks.common import shared, shared_folder
from model_lego.data import batches, open_data, subset
from model_lego.models import open_network

#: Superclass -> its classes (Krizhevsky 2009).
SUPERCLASSES = {
    "aquatic mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food containers": "bottle bowl can cup plate",
    "fruit and vegetables": "apple mushroom orange pear sweet_pepper",
    "household electrical devices": "clock keyboard lamp telephone television",
    "household furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large carnivores": "bear leopard lion tiger wolf",
    "large man-made outdoor things": "bridge castle house road skyscraper",
    "large natural outdoor scenes": "cloud forest mountain plain sea",
    "large omnivores and herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium-sized mammals": "fox porcupine possum raccoon skunk",
    "non-insect invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles 1": "bicycle bus motorcycle pickup_truck train",
    "vehicles 2": "lawn_mower rocket streetcar tank tractor",
}
WEIGHTS, DATA = "zoo/vgg16-half-cifar100.safetensors", "data/cifar100-5k.npz"
NORMAL = ml.Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
#: How the components are cut: by the paper's thresholds, and within a budget.
WAYS: dict[str, dict[str, Any]] = {
    "thresholds of the paper": {"thresholds": ml.Thresholds()},
    "14 % of the parameters": {"budget": ml.Budget(params=0.14)},
}


def measured(seed: int) -> dict[str, Any] | None:
    """Mean accuracy and size over the superclasses; None where the network or its images are not here."""
    if shared(WEIGHTS) is None or shared(DATA) is None:
        return None
    split = open_data(shared_folder() / DATA)
    source = open_network("zoo:vgg16", weights=shared_folder() / WEIGHTS, arguments={"width": 0.5}).model
    rows: list[dict[str, Any]] = []
    for name, members in SUPERCLASSES.items():
        classes = [split.class_names.index(member) for member in members.split()]
        train, test = (batches(images, batch_size=250) for images in (split.train, subset(split.test, classes)))
        for way, options in WAYS.items():
            part = ml.disassemble(
                source,
                train,
                classes=classes,
                class_names=split.class_names,
                preprocessing=NORMAL,
                seed=seed,
                **options,
            )
            cost, whole = part.origin.cost_after, part.origin.cost_before
            with torch.no_grad():
                right = [
                    [
                        (part(images).argmax(1) == labels).double(),
                        (source(NORMAL(images))[:, classes].argmax(1) == labels).double(),
                        (source(NORMAL(images)).argmax(1) == torch.tensor(classes)[labels]).double(),
                    ]
                    for images, labels in test
                ]
            own, restricted, all_classes = (
                100 * float(torch.cat(column).mean()) for column in zip(*right, strict=True)
            )
            rows.append(
                {
                    "superclass": name,
                    "way": way,
                    "component": own,
                    "restricted": restricted,
                    "among_all": all_classes,
                    "parameters_percent": 100 * cost.parameters / whole.parameters,
                    "macs_percent": 100 * cost.macs / whole.macs,
                }
            )
    means = {
        way: {
            key: mean(row[key] for row in rows if row["way"] == way)
            for key in rows[0]
            if key not in ("superclass", "way")
        }
        for way in WAYS
    }
    return {"seed": seed, "rows": rows, "means": means}

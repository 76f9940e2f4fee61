"""Networks with many classes of which the data has four: the squares' network, its logits at other numbers."""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image

from tests.support.squares import ARGUMENTS, CLASSES, pictures, trained, write_weights

#: The classes of a network of twelve, the squares' four among them.
TWELVE = ("hen", "bee", "elk", "fox", "dog", "gnu", "owl", "ant", "pig", "ram", "yak", "cat")
#: The squares' classes as four of ImageNet's, by WordNet number and by number.
SYNSETS = {"n01440764": 0, "n02102040": 217, "n02979186": 482, "n03000684": 491}
#: What these are called.
FOUR = ("tench", "English springer", "cassette player", "chain saw")


def write_wide(path: Path, numbers: Mapping[str, int], count: int) -> Path:
    """Save a network of so many classes that knows the squares' four at these numbers, and never answers another."""
    from model_lego.models import build

    known = trained(seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("zoo:lenet5", num_classes=count, **ARGUMENTS)
    tensors, (weight, bias) = known.state_dict(), list(network.state_dict())[-2:]
    rows, shifts = tensors[weight], tensors[bias]
    tensors[weight] = torch.zeros(count, rows.shape[1])
    tensors[bias] = torch.full((count,), -100.0)
    for place, number in enumerate(numbers.values()):
        tensors[weight][number], tensors[bias][number] = rows[place], shifts[place]
    network.load_state_dict(tensors)
    return write_weights(network, path)


def twelve(path: Path) -> Path:
    """The network of twelve classes."""
    return write_wide(path, {name: TWELVE.index(name) for name in CLASSES}, len(TWELVE))


def imagenet(path: Path) -> Path:
    """A network of ImageNet's 1,000 classes."""
    return write_wide(path, SYNSETS, 1000)


def write_folders(root: Path, names: Mapping[str, str], count: int = 24) -> Path:
    """The squares as folders of pictures, those of some classes, whose folders have these names."""
    for part, images, seed in (("train", count, 0), ("test", 10, 1)):
        for number, (image, label) in enumerate(zip(*pictures(images, seed=seed), strict=True)):
            if CLASSES[label] in names:
                path = root / part / names[CLASSES[label]] / f"{number:03}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.numpy()).save(path)
    return root

"""Single images that a command line names: a number of the test images where it is digits only, else a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model_lego.cli.sources import Source
from model_lego.errors import BadConfig
from model_lego.graph.runner import running
from model_lego.parts.image_shapes import filled
from model_lego.pictures.reading import read_picture
from model_lego.pictures.taking import picture_for


def check_files(values: Sequence[str]) -> None:
    """Refuse files that are not there or cannot be read, before work begins; raises BadConfig, BadBatches."""
    for file in values:
        if file.isdecimal():
            continue
        if not file or not Path(file).exists():
            raise BadConfig(f"--image '{file}' is no number of a test image, and there is no such file")
        read_picture(file)


def image_names(values: Sequence[str]) -> list[str]:
    """What the images are called: their numbers, and files by their names without folders where these differ."""
    short = {value: value if value.isdecimal() else Path(value).name for value in values}
    names = list(short.values())
    return [value if names.count(short[value]) > 1 else short[value] for value in values]


def as_taken(source: Source, values: Sequence[str]) -> Tensor | None:
    """The images as the network takes them, N x C x H x W, None for no image; raises BadConfig, ShapeMismatch.

    Pictures of files get the network's number of colours and its size.
    """
    if not values:
        return None
    there = len(source.test.images)
    known = f"among the {there} test images (0 to {there - 1})" if there else "one: the data has no test images"
    for value in values:
        if value.isdecimal() and int(value) >= there:
            raise BadConfig(f"--image {value} is not {known}; a file of that name is ./{value}")
    shape = source.graph.program.image_shape
    own = filled(source.preprocessing, shape)
    images = [
        source.test.read(torch.tensor([int(value)]))[0]
        if value.isdecimal()
        else picture_for(value, shape[0], own.resized)[None]
        for value in values
    ]
    return torch.cat([own(image) for image in images])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network takes an image for: its classes, the most probable one first, with their probabilities in %."""

    image: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    label: str | None  # what a test image is, None of a file

    def __str__(self) -> str:
        pairs = [f"{name} {share:.1f} %" for name, share in zip(self.classes, self.probabilities, strict=True)]
        more = f", then {', '.join(pairs[1:])}" if pairs[1:] else ""
        known = "" if self.label is None else "; right" if self.label == self.classes[0] else f"; it is {self.label}"
        return f"image {self.image}: {pairs[0]}{more}{known}"


#: Classes of an answer that are told.
TOLD = 3


def answers(source: Source, values: Sequence[str], images: Tensor) -> list[Answer]:
    """What the network takes each of the images for, and how sure it is."""
    network, names = running(source.graph.program, source.model), source.class_names
    with torch.no_grad():
        shares = 100 * network.run(images.to(network.like)).double().softmax(1).cpu()
    found = []
    for called, value, share in zip(image_names(values), values, shares, strict=True):
        best = share.topk(min(TOLD, len(share)))
        label = names[int(source.test.images.labels[int(value)])] if value.isdecimal() else None
        told = tuple(names[place] for place in best.indices.tolist())
        found.append(Answer(called, told, tuple(best.values.tolist()), label))
    return found

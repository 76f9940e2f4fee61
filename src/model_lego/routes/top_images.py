"""top_images: which images the channels of a network answer to most.

The answer of a channel c to an image x, where a layer reads it, is its mean over the P positions of what is read:

    A_c(x) = 1/P * sum over p of a_cp(x)

P * A_c is what a kernel of one tap reads of the channel in equation (3): of two images, the channel adds more in that
with the larger answer, to whatever it adds to.
"""

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, fx, nn

from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches, called, checked, sampled
from model_lego.data.thumbnails import Photo, can_be_shown, thumbnail
from model_lego.digest import digest_of
from model_lego.errors import BadConfig, ShapeMismatch
from model_lego.graph import ChannelGraph, Layer
from model_lego.graph.runner import running
from model_lego.parts.class_names import ClassNames, names_of, source_names
from model_lego.parts.image_shapes import taken
from model_lego.parts.preprocessing import Preprocessing
from model_lego.parts.wrappers import unwrapped
from model_lego.progress import Progress, quiet
from model_lego.routes.deciding import in_order
from model_lego.routes.nouns import TopImages, TopLayer

#: Answers that differ by less than this, in parts of the larger one, are the same.
ROUNDING = 1e-6


class TopOptions(TypedDict, total=False):
    """Keyword arguments of `top_images` that say how many images are looked at and kept."""

    images: int  # that are looked at, 500
    most: int  # that are kept of each channel, 4
    seed: int  # of the sample


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How many images, as `TopOptions` say; raises BadConfig."""

    images: int = 500
    most: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images < 1 or self.most < 1:
            raise BadConfig(f"of {self.images} images the {self.most} largest answers are none; give at least 1")


@torch.no_grad()
def top_images(
    model: nn.Module,
    batches: Batches,
    *,
    graph: ChannelGraph,
    class_names: ClassNames | None = None,
    preprocessing: Preprocessing | None = None,
    progress: Progress = quiet,
    **options: Unpack[TopOptions],
) -> TopImages:
    """Find the images that each channel answers to most, wherever a layer reads it, and those with the largest logits.

    `images` (500) are looked at, in one pass: a sample by `seed` where the batches are `Batched`, else the first ones.
    Of these the `most` (4) are kept of each channel, fewer where it answers to fewer. The network takes them by
    `preprocessing`, and they are shown as they were before. Labels are numbers of `class_names`, by default of the
    network's classes. Raises BadConfig, BadBatches, ShapeMismatch (images that are no pictures).
    """
    refuse_unknown("top_images", options, TopOptions)
    bounds, model = value_of(_Bounds, options), unwrapped(model)
    names = source_names(model, None, len(graph.head)) if class_names is None else names_of(class_names)
    shape = taken(graph.program.image_shape, preprocessing)
    if not can_be_shown(shape):
        raise ShapeMismatch(f"images of shape {shape} are no pictures, which are grey or have three colours")
    network, listener = running(graph.program, model), _Listener(graph, bounds.most)
    (some, number_of), name_of = sampled(batches, bounds.images, bounds.seed), called(batches)
    photos: list[Photo] = []
    for images, labels in checked(some, shape=shape, labels=len(names)):
        images, labels = images[: bounds.images - len(photos)], labels[: bounds.images - len(photos)]
        for image, label in zip(images, labels.tolist(), strict=True):
            number = number_of(len(photos))
            photos.append(Photo(thumbnail(image), number, names[label], name_of(number)))
        for portion in network.portions(images if preprocessing is None else preprocessing(images)):
            listener.portion = len(portion)
            listener.finish(network.run(portion, listener))
        progress("looking for photos", len(photos), bounds.images)
        if len(photos) >= bounds.images:
            break
    progress("looking for photos", len(photos), len(photos))
    return TopImages(layers=listener.layers(), photos=tuple(photos), source=digest_of(model))


class _Listener:
    """Hears what the layers of a running network read, and keeps each channel's images with the largest answers."""

    def __init__(self, graph: ChannelGraph, most: int) -> None:
        self.read_by = {layer.node: layer for layer in graph.layers if not layer.depthwise}
        self.tops = {node: _Top(in_order(layer.inputs), most) for node, layer in self.read_by.items()}
        self.logits = _Top(graph.head, most)
        self.done = 0  # images before the portion that runs
        self.portion = 0  # images in it

    def __call__(self, node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Take what a layer reads, as an intercept of the program; changes nothing."""
        layer = self.read_by.get(node.name)
        if layer is not None:
            self.tops[node.name].add(*_answers(args[0], layer, self.portion), first=self.done)
        return args

    def finish(self, logits: Tensor) -> None:
        """Take what the portion gave in the end."""
        nowhere = torch.full((*logits.shape, 2), torch.nan)
        self.logits.add(logits.float().cpu(), nowhere, first=self.done)
        self.done += self.portion

    def layers(self) -> tuple[TopLayer, ...]:
        """What was found, in the order of execution, the logits last."""
        return (*(top.layer(self.read_by[node].name) for node, top in self.tops.items()), self.logits.layer("logits"))


def _answers(x: Tensor, layer: Layer, images: int) -> tuple[Tensor, Tensor]:
    """The answers of the channels that a layer reads, images x channels, and where in the image each is strongest.

    Places are images x channels x 2, down and across, 0..1; nan where what is read are no maps.
    """
    maps = x.reshape(len(x), -1, x.shape[-1]).transpose(1, 2) if layer.window.linear else x.flatten(2)
    reads, at = layer.inputs.unique(return_inverse=True)
    positions = torch.zeros(len(reads)).index_add_(0, at, torch.ones(len(at)))
    values = _of_images(maps.float().mean(2), images).cpu()
    answers = torch.zeros(images, len(reads)).index_add_(1, at, values) / positions
    places = torch.full((images, len(reads), 2), torch.nan)
    if len(maps) == images and x.dim() == 4 and not layer.window.linear and maps.shape[2] > 1 and len(reads) == len(at):
        strongest = maps.argmax(2).cpu()
        height, width = x.shape[2:]
        places[:, at] = torch.stack([(strongest // width + 0.5) / height, (strongest % width + 0.5) / width], 2)
    order = torch.searchsorted(reads, in_order(layer.inputs))
    return answers[:, order], places[:, order]


def _of_images(values: Tensor, images: int) -> Tensor:
    """Means over what belongs to each image: a network may fold positions into the batch, images first."""
    if len(values) % images == 0:
        return values.reshape(images, -1, values.shape[1]).mean(1)
    return values.mean(0, keepdim=True).expand(images, -1)  # what does not grow with the batch is the same for all


class _Top:
    """The images with the largest answers so far, for each channel that a layer reads; most x channels."""

    def __init__(self, reads: Tensor, most: int) -> None:
        self.reads, self.most = reads, most
        self.answers = torch.empty(0, len(reads))
        self.images = torch.empty(0, len(reads), dtype=torch.int64)
        self.spots = torch.empty(0, len(reads), 2)
        self.least = torch.full((len(reads),), torch.inf)

    def add(self, answers: Tensor, places: Tensor, *, first: int) -> None:
        """Take the answers to some images, of which the first has this number."""
        numbers = torch.arange(first, first + len(answers))[:, None].expand_as(answers)
        self.least = torch.minimum(self.least, answers.amin(0))
        every = torch.cat([self.answers, answers])
        best = every.argsort(dim=0, descending=True, stable=True)[
            : self.most
        ]  # of equal answers the earlier image stays
        self.answers = every.gather(0, best)
        self.images = torch.cat([self.images, numbers]).gather(0, best)
        self.spots = torch.cat([self.spots, places]).gather(0, best[..., None].expand(-1, -1, 2))

    def layer(self, name: str) -> TopLayer:
        """What is left, without images to which the channel answers no more than to any, but for rounding."""
        more = self.answers - self.least > ROUNDING * self.answers.abs()
        images = torch.where(more, self.images, -1)
        return TopLayer(name, self.reads, images.T, self.answers.T, self.spots.transpose(0, 1))

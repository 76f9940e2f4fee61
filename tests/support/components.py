"""Components for the tests of assemblies: of small networks, cut at random; and of pixels, whose logits are known."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model_lego.cutting.slicing import slice_model
from model_lego.graph import ChannelGraph, ChannelSelection, select
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder, Cost, Origin
from model_lego.parts.preprocessing import Preprocessing
from tests.support.plans import parts as blocks_of
from tests.support.plans import traced
from tests.support.tiny_models import build, inputs

FREE = Cost(0, 0, 0)


def share_plan(graph: ChannelGraph, share: float, *, seed: int, logits: Sequence[int]) -> ChannelSelection:
    """Keep a random share of the cuttable channels of each group, at least one."""
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.zeros(graph.width, dtype=torch.bool)
    for block in blocks_of(graph):
        free = block[graph.cuttable[block]]
        wanted[free[torch.randperm(len(free), generator=generator)[: max(1, round(share * len(free)))]]] = True
    scores = torch.rand(graph.width, generator=generator, dtype=torch.float64)
    return select(graph, wanted, logits=logits, scores=scores)


def cut_part(
    model: nn.Module,
    graph: ChannelGraph,
    *,
    share: float = 0.5,
    seed: int = 0,
    logits: Sequence[int] = (1, 0),
    names: str | Sequence[str] = ("a", "b"),
    preprocessing: Preprocessing | None = None,
    builder: Builder | None = None,
) -> Component:
    """Some logits of a network as a component, with a random share of its channels; `graph` is of its architecture."""
    made = slice_model(model, graph, share_plan(graph, share, seed=seed, logits=logits))
    origin = Origin(
        builder=builder,
        source_digest="",
        source_classes=tuple(str(number) for number in range(len(graph.head))),
        input_shape=graph.program.image_shape,
        kept_outputs={},
        kept_inputs={},
        attributes=made.attributes,
        settings={"dropped_modules": list(made.dropped)} if made.dropped else {},
        cost_before=FREE,
        cost_after=FREE,
    )
    return Component(
        made.module, classes=list(names), labels=list(logits), origin=origin, preprocessing=preprocessing
    ).eval()


def tiny_part(name: str, *, seed: int, dtype: torch.dtype = torch.float64, **options) -> Component:
    """A component of a tiny network of its own for each seed; they are all of one graph, which is traced once."""
    return cut_part(build(name, seed=seed, dtype=dtype), traced(name)[1], seed=seed, **options)


class Pixels(nn.Module):
    """Gives some pixels of an image as logits."""

    def __init__(self, *pixels: int) -> None:
        super().__init__()
        self.pixels, self.gain = list(pixels), nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, images):
        return images.flatten(1)[:, self.pixels] * self.gain


def pixel_part(
    classes: Sequence[str],
    *pixels: int,
    shape: tuple[int, int, int] = (4, 1, 1),
    preprocessing: Preprocessing | None = None,
) -> Component:
    """A component whose logits are pixels of its image."""
    origin = Origin(
        builder=None,
        source_digest="",
        source_classes=tuple(classes),
        input_shape=shape,
        kept_outputs={},
        kept_inputs={},
        attributes={},
        settings={},
        cost_before=FREE,
        cost_after=FREE,
    )
    return Component(
        Pixels(*pixels), classes=list(classes), labels=range(len(classes)), origin=origin, preprocessing=preprocessing
    )


def pair() -> list[Component]:
    """Parts of the classes a and b, c and d: one pixel each."""
    return [pixel_part("ab", 0, 1), pixel_part("cd", 2, 3)]


def shared() -> list[Component]:
    """Parts of the classes a and b, c and b."""
    return [pixel_part("ab", 0, 1), pixel_part("cb", 2, 3)]


def batch(rows, labels) -> tuple[Tensor, Tensor]:
    """Images of one row of pixels each, as B x 4 x 1 x 1."""
    images = torch.as_tensor(rows, dtype=torch.float64)
    return images.reshape(*images.shape, 1, 1), torch.as_tensor(labels)


def random_batch(count: int, *, seed: int, classes: int = 4, signal: float = 1.0) -> tuple[Tensor, Tensor]:
    """Images whose pixel of their own class is the brighter the stronger the signal."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    noise = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return batch(noise + signal * torch.eye(4, dtype=torch.float64)[labels] + 0.5, labels)


def tinted(count: int, *, seed: int = 0, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Images of the tiny networks whose tint and pattern depend on the class."""
    generator = torch.Generator().manual_seed(9)
    marks = torch.randn(classes, 3, 12, 12, generator=generator, dtype=torch.float64)
    labels = torch.arange(count) % classes
    return 0.7 * inputs("plain", batch=count, seed=seed) + marks[labels], labels


def right(joint: nn.Module, images: Tensor, labels: Tensor) -> float:
    """How many of the images are taken for what they are, in %."""
    return 100 * float((joint(images).argmax(1) == labels).double().mean())

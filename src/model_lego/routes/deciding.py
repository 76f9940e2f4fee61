"""decision_routes: the walk of equations (4)-(8), with everything that it passes noted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model_lego.attribution import ContributionStats, Thresholds, attribute
from model_lego.attribution.relevance import Visit, walk
from model_lego.attribution.statistics import check_owner
from model_lego.digest import digest_of
from model_lego.errors import BadConfig, EmptySelection, ShapeMismatch
from model_lego.graph import ChannelGraph
from model_lego.graph.channels import Layer
from model_lego.graph.runner import running
from model_lego.parts.class_names import Classes, ClassNames, label_numbers, source_names
from model_lego.parts.image_shapes import check_shape
from model_lego.parts.wrappers import unwrapped
from model_lego.routes.nouns import DecisionRoutes, Edges, RouteLayer


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What a route belongs to: a class, or one image with the class that the network takes it for."""

    name: str
    label: int
    stats: ContributionStats


def decision_routes(
    model: nn.Module,
    stats: ContributionStats | None,
    classes: Classes = (),
    *,
    graph: ChannelGraph,
    images: Tensor | None = None,
    image_names: Sequence[str] | None = None,
    class_names: ClassNames | None = None,
    thresholds: Thresholds | None = None,
) -> DecisionRoutes:
    """Find through which channels the network decides for some classes, and for single images.

    The relevant channels of a class are those that `locate` finds with the same statistics and thresholds; an edge is a
    contribution that passes (5), from an input that passes (8) to a relevant output. `images` (N x C x H x W, as the
    network takes them) are routed by their own contributions to the class that the network takes them for, and called
    by `image_names`, else by their places; `stats` may be None if there are only images. Raises BadConfig (statistics
    of another network), EmptySelection, ShapeMismatch, UnknownClass.
    """
    model = unwrapped(model)
    names = source_names(model, class_names, len(graph.head))
    subjects = of_classes(model, graph, stats, classes, names)
    single = [] if images is None else list(of_images(model, graph, images, names, image_names))
    if not (subjects or single):
        raise EmptySelection("no class and no image was given; name at least one")
    subjects += single
    thresholds = thresholds or Thresholds()
    notes = [_Noted.of(graph, subject, thresholds) for subject in subjects]
    relevant = torch.stack([noted.hard for noted in notes])
    return DecisionRoutes(
        names=tuple(subject.name for subject in subjects),
        labels=tuple(subject.label for subject in subjects),
        images=len(single),
        layers=tuple(_layer(graph, layer, notes, relevant) for layer in graph.layers if layer.name in notes[0].mixed),
        relevant=relevant,
        contributions=torch.stack([noted.contributions for noted in notes]),
        cuttable=graph.cuttable,
        thresholds=thresholds,
        source=digest_of(model),
    )


def of_classes(
    model: nn.Module,
    graph: ChannelGraph,
    stats: ContributionStats | None,
    classes: Classes,
    names: Sequence[str],
) -> list[Subject]:
    """The subjects of some classes; raises BadConfig, UnknownClass."""
    if not isinstance(classes, str | int) and not len(classes := list(classes)):
        return []
    if stats is None:
        raise BadConfig("routes of classes need their statistics; take them with attribute")
    check_owner(stats, model)
    labels = label_numbers(classes, tuple(names))
    return [Subject(names[label], label, stats) for label in labels]


def of_images(
    model: nn.Module, graph: ChannelGraph, images: Tensor, names: Sequence[str], called: Sequence[str] | None = None
) -> Iterator[Subject]:
    """The subjects of single images; raises ShapeMismatch, BadConfig."""
    check_shape("images", images, graph.program.image_shape)
    if not len(images):
        raise ShapeMismatch("there is no image; give at least one")
    called = [str(number) for number in range(len(images))] if called is None else called
    if len(called) != len(images):
        raise BadConfig(f"{len(called)} names were given for {len(images)} images; give each its own")
    network = running(graph.program, model)
    for name, image in zip(called, images.split(1), strict=True):
        with torch.no_grad():
            label = int(network.run(image.to(network.like))[0].argmax())
        stats = of_one(model, graph, image, label)
        yield Subject(f"image {name} ({names[label]})", label, stats)


def of_one(model: nn.Module, graph: ChannelGraph, image: Tensor, label: int) -> ContributionStats:
    """The statistics of one image (1 x C x H x W)."""
    return attribute(model, [(image, torch.tensor([label]))], graph=graph, classes=[label], sampling="all")


@dataclass(slots=True, eq=False)
class _Noted:
    """What the walk of one subject passes."""

    hard: Tensor  # one bool a channel of the graph
    contributions: Tensor  # 0..1, one a channel of the graph
    mixed: frozenset[str]  # the layers that the statistics have
    inputs: dict[str, Tensor] = field(
        default_factory=dict
    )  # contributions of a layer's inputs, by channel of the graph
    edges: dict[str, list[tuple[Tensor, Tensor, Tensor]]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: ChannelGraph, subject: Subject, thresholds: Thresholds) -> "_Noted":
        noted = cls(
            torch.zeros(graph.width, dtype=torch.bool),
            torch.zeros(graph.width),
            frozenset(subject.stats.layers),
        )
        for visit in walk(graph, subject.stats, subject.label, noted.hard, thresholds=thresholds):
            noted.take(visit)
        return noted

    def take(self, visit: Visit) -> None:
        name = visit.layer.name
        added = contributions_of(visit)
        if name not in self.inputs:
            self.inputs[name] = torch.zeros_like(self.contributions)
        for kept in (self.inputs[name], self.contributions):
            kept.scatter_reduce_(0, visit.inputs, added, "amax")
        output, place = (visit.edges & visit.found).nonzero(as_tuple=True)
        strengths = visit.aggregated[output, place].float().clamp(max=1)
        self.edges.setdefault(name, []).append((visit.inputs[place], visit.outputs[output], strengths))


def contributions_of(visit: Visit) -> Tensor:
    """What each input adds to the relevant outputs: equation (4), averaged over these; 0..1."""
    return visit.aggregated.mean(0).float().clamp(max=1)


def _layer(graph: ChannelGraph, layer: Layer, notes: Sequence[_Noted], relevant: Tensor) -> RouteLayer:
    reads, writes = in_order(layer.inputs), in_order(layer.outputs)
    nothing = torch.zeros(graph.width)
    contributions = torch.stack([noted.inputs.get(layer.name, nothing)[reads] for noted in notes])
    return RouteLayer(
        name=layer.name,
        op=layer.op.removeprefix("aten.").partition(".")[0],
        reads=reads,
        writes=writes,
        inputs=relevant[:, reads],
        outputs=relevant[:, writes],
        contributions=contributions,
        edges=tuple(_edges(graph, reads, writes, noted.edges.get(layer.name, [])) for noted in notes),
        cuttable=graph.cuttable[writes],
    )


def in_order(channels: Tensor) -> Tensor:
    """The distinct channels, in the order in which they come."""
    found, inverse = channels.unique(return_inverse=True)
    first = torch.full_like(found, len(channels)).scatter_reduce_(0, inverse, torch.arange(len(channels)), "amin")
    ordered: Tensor = found[first.argsort()]
    return ordered


def _edges(graph: ChannelGraph, reads: Tensor, writes: Tensor, found: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Edges:
    """Edges by the layer's own numbers; several between the same two channels become the strongest of them."""
    if not found:
        none = torch.zeros(0, dtype=torch.int64)
        return Edges(none, none, torch.zeros(0))
    inputs, outputs, strengths = (torch.cat(each) for each in zip(*found, strict=True))
    place = torch.zeros(graph.width, dtype=torch.int64)
    place[reads] = torch.arange(len(reads))
    inputs = place[inputs]
    place[writes] = torch.arange(len(writes))
    pairs, inverse = (place[outputs] * len(reads) + inputs).unique(return_inverse=True)
    strongest = torch.zeros(len(pairs)).scatter_reduce_(0, inverse, strengths, "amax")
    return Edges(pairs % len(reads), pairs // len(reads), strongest)

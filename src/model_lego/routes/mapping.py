"""contribution_maps: what each channel adds, for classes and for single samples of the same and of other classes."""

import json
import math
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from model_lego.attribution import ContributionStats, Thresholds, attribute
from model_lego.attribution.reading import Reading
from model_lego.attribution.relevance import walk
from model_lego.attribution.sampling import SampleChoice, choose, chosen
from model_lego.calling.options import refuse_unknown, value_of
from model_lego.data.batching import Batches
from model_lego.errors import BadConfig
from model_lego.graph import ChannelGraph
from model_lego.parts.class_names import Classes, ClassNames, label_numbers, source_names
from model_lego.parts.wrappers import unwrapped
from model_lego.progress import Progress, quiet
from model_lego.routes.deciding import Subject, contributions_of, in_order, of_classes, of_one


@dataclass(frozen=True, slots=True, eq=False)
class LayerMap:
    """What each input channel of one layer adds to the relevant outputs: equation (4), averaged over these; 0..1.

    `classes` is classes x channels, `samples` samples x channels, float32; `reads` the channels' numbers in the graph.
    """

    name: str
    reads: Tensor
    classes: Tensor
    samples: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ContributionMaps:
    """Soft relative contributions, class x channel and sample x channel, for each layer.

    `places` tells for each sample, sorted, which of the `classes` is its own; a sample is attributed to that class.
    """

    classes: tuple[str, ...]
    labels: tuple[int, ...]
    places: tuple[int, ...]
    layers: tuple[LayerMap, ...]
    source: str  # digest of the network

    def layer(self, name: str) -> LayerMap:
        """Find a layer by the path of its module; raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def likeness(self) -> Tensor:
        """Mean correlation of two samples of the same class, and of two of different ones: layers x 2; nan for none."""
        own = torch.tensor(self.places)
        same = own[:, None] == own[None, :]
        pair = ~torch.eye(len(own), dtype=torch.bool)
        rows = []
        for layer in self.layers:
            alike = _correlations(layer.samples.double())
            rows.append(torch.stack([alike[same & pair].nanmean(), alike[~same].nanmean()]))
        return torch.stack(rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; numbers that are not defined are None."""
        layers = [
            {
                "name": layer.name,
                "classes": layer.classes.tolist(),
                "samples": layer.samples.tolist(),
                "same_class": same,
                "different_class": different,
            }
            for layer, (same, different) in zip(self.layers, self.likeness().tolist(), strict=True)
        ]
        given = {"classes": self.classes, "labels": self.labels, "places": self.places, "layers": layers}
        plain: dict[str, Any] = json.loads(json.dumps(given), parse_constant=lambda _: None)
        return plain

    def __str__(self) -> str:
        lines = [f"{'correlation of samples':32} {'same class':>12} {'different':>12}"]
        for layer, row in zip(self.layers, self.likeness().tolist(), strict=True):
            same, different = ("-" if math.isnan(value) else f"{value:.2f}" for value in row)
            lines.append(f"{layer.name:32} {same:>12} {different:>12}")
        return "\n".join(lines)


class MapOptions(TypedDict, total=False):
    """Keyword arguments of `contribution_maps` that say which single samples are mapped."""

    samples: int  # of each class
    sampling: Literal["random", "confident"]
    seed: int  # of random samples


@dataclass(frozen=True, slots=True)
class _SingleSamples:
    """Which single samples are mapped, as `MapOptions` say; raises BadConfig."""

    samples: int = 4
    sampling: Literal["random", "confident"] = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise BadConfig(f"{self.samples} samples a class make no map; give at least 1")
        if self.sampling not in ("random", "confident"):
            raise BadConfig(f"samples of a map are 'random' or 'confident', not '{self.sampling}'")


def contribution_maps(
    model: nn.Module,
    batches: Batches,
    classes: Classes,
    *,
    graph: ChannelGraph,
    stats: ContributionStats | None = None,
    class_names: ClassNames | None = None,
    thresholds: Thresholds | None = None,
    progress: Progress = quiet,
    **options: Unpack[MapOptions],
) -> ContributionMaps:
    """Map what each channel adds, for classes and for `samples` (4) single samples of each.

    Classes come from `stats`, taken from the batches where there are none. Which samples (`sampling`): "random" ones
    (by `seed`), or the most "confident" ones that are labelled correctly. Labels of the batches are the network's.
    Raises BadConfig, BadBatches, EmptySelection, UnknownClass.
    """
    refuse_unknown("contribution_maps", options, MapOptions)
    single, model = value_of(_SingleSamples, options), unwrapped(model)
    names = source_names(model, class_names, len(graph.head))
    labels = label_numbers(classes, names)
    if stats is None:
        stats = attribute(model, batches, graph=graph, classes=labels, class_names=names, progress=progress)
    subjects = of_classes(model, graph, stats, labels, names)
    samples = SampleChoice(single.sampling, single.samples, single.seed, names)
    choice = choose(model, graph, batches, classes=labels, samples=samples, reading=Reading(progress))
    of_samples: dict[int, list[dict[str, Tensor]]] = {label: [] for label in labels}
    reader = chosen(batches, choice, shape=graph.program.image_shape, labels=len(graph.head), classes=labels)
    done, total = 0, None if choice is None else sum(choice.of(labels).values())
    for images, numbers in reader:
        for image, label in zip(images.split(1), numbers.tolist(), strict=True):
            subject = Subject("", label, of_one(model, graph, image, label))
            of_samples[label].append(_rows(graph, subject, thresholds))
            done += 1
            progress("mapping contributions", done, total)
    progress("mapping contributions", done, done)
    return ContributionMaps(
        classes=tuple(subject.name for subject in subjects),
        labels=labels,
        places=tuple(place for place, label in enumerate(labels) for _ in of_samples[label]),
        layers=_layers(
            graph,
            stats,
            of_classes=[_rows(graph, subject, thresholds) for subject in subjects],
            of_samples=[row for label in labels for row in of_samples[label]],
        ),
        source=stats.source,
    )


def _rows(graph: ChannelGraph, subject: Subject, thresholds: Thresholds | None) -> dict[str, Tensor]:
    """What each input channel of each layer adds, by layer; layers that the walk does not reach are absent."""
    hard = torch.zeros(graph.width, dtype=torch.bool)
    rows: dict[str, Tensor] = {}
    for visit in walk(graph, subject.stats, subject.label, hard, thresholds=thresholds):
        row = rows.setdefault(visit.layer.name, torch.zeros(graph.width))
        row.scatter_reduce_(0, visit.inputs, contributions_of(visit), "amax")
    return {name: row[in_order(graph.layer(name).inputs)] for name, row in rows.items()}


def _layers(
    graph: ChannelGraph,
    stats: ContributionStats,
    *,
    of_classes: list[dict[str, Tensor]],
    of_samples: list[dict[str, Tensor]],
) -> tuple[LayerMap, ...]:
    layers = []
    for layer in graph.layers:
        if layer.name in stats.layers:
            reads = in_order(layer.inputs)
            nothing = torch.zeros(len(reads))
            rows = (torch.stack([each.get(layer.name, nothing) for each in rows]) for rows in (of_classes, of_samples))
            layers.append(LayerMap(layer.name, reads, *rows))
    return tuple(layers)


def _correlations(rows: Tensor) -> Tensor:
    """Correlation of each two rows, nan for rows that do not vary."""
    centred = rows - rows.mean(1, keepdim=True)
    length = centred.norm(dim=1)
    length[length <= 1e-9] = torch.nan
    alike: Tensor = (centred @ centred.T) / (length[:, None] * length[None, :])
    return alike

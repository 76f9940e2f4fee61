"""The nouns of decision routes: edges, the routes through one layer, and those through a network.

A *subject* is what a route belongs to: a class (its samples together) or one image.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from model_lego.attribution import Thresholds
from model_lego.data.thumbnails import Photo
from model_lego.errors import BadConfig
from model_lego.routes.similarity import jaccard, linkage, mean_defined

#: Subjects that have a column of their own in a printed table.
MOST_NAMED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Which inputs of a layer decide for which of its outputs, for one subject.

    Three tensors of equal length: numbers of input and output channels (int64), and strengths: the relative
    contribution of equation (4), 0..1, the largest over the positions of a channel that was flattened.
    """

    inputs: Tensor
    outputs: Tensor
    strengths: Tensor

    def __len__(self) -> int:
        return len(self.strengths)

    def strongest(self, most: int, *, per_output: int = 2) -> "Edges":
        """The strongest edges into each output, and of these at most `most`; those of equal strength in order."""
        order = self.strengths.argsort(descending=True, stable=True)
        order = order[self.outputs[order].argsort(stable=True)]  # by output, the strongest first
        _, counts = self.outputs[order].unique_consecutive(return_counts=True)
        starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
        order = order[torch.arange(len(order)) - starts < per_output]
        order = order[self.strengths[order].argsort(descending=True, stable=True)[:most]]
        return Edges(self.inputs[order], self.outputs[order], self.strengths[order])


@dataclass(frozen=True, slots=True, eq=False)
class RouteLayer:
    """The routes of all subjects through one layer.

    Channels have the layer's own numbers; the positions of a channel that was flattened count as this one channel.
    `inputs` and `outputs` tell which are relevant (subjects x channels, bool); `contributions` what each input adds to
    the relevant outputs (subjects x channels, 0..1): equation (4), averaged over these.
    """

    name: str
    op: str
    reads: Tensor  # number in the graph of each input channel
    writes: Tensor  # and of each output channel
    inputs: Tensor
    outputs: Tensor
    contributions: Tensor
    edges: tuple[Edges, ...]  # one a subject
    cuttable: Tensor  # bool, one an output channel: neither kept whole nor a logit

    @property
    def shared(self) -> Tensor:
        """Which output channels several subjects use, bool."""
        return self.outputs.sum(0) > 1

    @property
    def unused(self) -> Tensor:
        """Which output channels no subject uses, bool."""
        return ~self.outputs.any(0)

    def overlap(self) -> Tensor:
        """Jaccard index of each two subjects' output channels that can be cut, subjects x subjects; nan for none."""
        return jaccard(self.outputs[:, self.cuttable])


@dataclass(frozen=True, slots=True, eq=False)
class TopLayer:
    """The images that the channels which one layer reads answer to most; the layer "logits" has the logits themselves.

    `images` are places among the photos (channels x most, -1 for none), the largest answer first; `answers` how large
    these are, `spots` where in the image the channel is strongest (down and across, 0..1; nan where that is nowhere).
    """

    name: str
    reads: Tensor  # number in the graph of each channel
    images: Tensor
    answers: Tensor
    spots: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TopImages:
    """The images that each channel answers to most, layer by layer, out of all the `photos` that were looked at."""

    layers: tuple[TopLayer, ...]
    photos: tuple[Photo, ...]
    source: str  # digest of the network

    def layer(self, name: str) -> TopLayer:
        """Find a layer by the path of its module, "logits" for the logits; raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def of(self, layer: str, channel: int) -> tuple[Photo, ...]:
        """The photos of one of the channels that a layer reads, by its number there; raises KeyError, IndexError."""
        return tuple(self.photos[place] for place in self.layer(layer).images[channel].tolist() if place >= 0)


@dataclass(frozen=True, slots=True, eq=False)
class DecisionRoutes:
    """Through which channels a network comes to its answers, for some classes and images.

    `names` and `labels` are those of the subjects; of an image it is the class that the network takes it for.
    `relevant` (bool) and `contributions` (0..1, the largest over the readers) are subjects x channels of the graph.
    Layers come in the order of execution; depthwise ones, which mix no channels, are left out.
    """

    names: tuple[str, ...]
    labels: tuple[int, ...]
    images: int  # how many of the subjects, the last ones, are images
    layers: tuple[RouteLayer, ...]
    relevant: Tensor
    contributions: Tensor
    cuttable: Tensor  # bool, one a channel of the graph
    thresholds: Thresholds
    source: str  # digest of the network
    top: TopImages | None = None

    def with_top_images(self, top: TopImages) -> "DecisionRoutes":
        """The same routes with the images that the channels answer to most; raises BadConfig for another network's."""
        if top.source != self.source:
            raise BadConfig("the images are those that another network's channels answer to; find them in its own")
        return replace(self, top=top)

    def layer(self, name: str) -> RouteLayer:
        """Find a layer by the path of its module; raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    @property
    def compared(self) -> tuple[RouteLayer, ...]:
        """The layers in which subjects can differ: those that write channels which can be cut."""
        return tuple(layer for layer in self.layers if bool(layer.cuttable.any()))

    def overlap(self) -> Tensor:
        """Jaccard index of each two subjects, averaged over the layers: subjects x subjects."""
        return (
            mean_defined(torch.stack([layer.overlap() for layer in self.compared])) if self.compared else _alone(self)
        )

    def dendrogram(self) -> Tensor:
        """Hierarchy of the subjects by 1 - overlap, average linkage, as scipy's linkage matrix: (subjects - 1) x 4."""
        return linkage(1 - self.overlap())

    @property
    def unused(self) -> float:
        """Share of the channels that can be cut which no subject uses."""
        can = int(self.cuttable.sum())
        return int((self.cuttable & ~self.relevant.any(0)).sum()) / can if can else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Everything but the edges as JSON values; numbers that are not defined are None."""
        given = {
            "names": self.names,
            "labels": self.labels,
            "images": self.images,
            "thresholds": asdict(self.thresholds),
            "unused": self.unused,
            "overlap": self.overlap().tolist(),
            "layers": [self._layer_dict(layer) for layer in self.layers],
        }
        if self.top is not None:
            given["top_images"] = {"images": len(self.top.photos), "layers": self._top_dict(self.top)}
        plain: dict[str, Any] = json.loads(json.dumps(given), parse_constant=lambda _: None)
        return plain

    def _top_dict(self, top: TopImages) -> Mapping[str, Any]:
        """The numbers of the images of each relevant channel that a layer reads."""
        used = {layer.name: layer.inputs.any(0).nonzero().flatten().tolist() for layer in self.layers}
        return {
            name: {channel: [photo.number for photo in top.of(name, channel)] for channel in channels}
            for name, channels in used.items()
        }

    def _layer_dict(self, layer: RouteLayer) -> Mapping[str, Any]:
        return {
            "name": layer.name,
            "op": layer.op,
            "channels": len(layer.writes),
            "relevant": {
                name: used.nonzero().flatten().tolist() for name, used in zip(self.names, layer.outputs, strict=True)
            },
            "shared": layer.shared.nonzero().flatten().tolist(),
            "unused": int(layer.unused.sum()),
            "edges": {name: len(edges) for name, edges in zip(self.names, layer.edges, strict=True)},
            "overlap": layer.overlap().tolist(),
        }

    def __str__(self) -> str:
        several = len(self.names) > 1
        each = len(self.names) <= MOST_NAMED
        columns = [*(_clip(name) for name in self.names)] if each else ["used, mean"]
        columns += ["shared", "unused", "overlap"] if several else ["unused"]
        lines = ["".join([f"{'channels written by':28}", *(f" {column:>11}" for column in columns)])]
        for layer in self.layers:
            used = layer.outputs.sum(1)
            cells = [str(count) for count in used.tolist()] if each else [f"{float(used.double().mean()):.1f}"]
            cells += [str(int(layer.shared.sum()))] if several else []
            cells.append(f"{int(layer.unused.sum())}/{len(layer.writes)}")
            cells += [_percent(_between(layer.overlap()))] if several else []
            lines.append("".join([f"{layer.name:28}", *(f" {cell:>11}" for cell in cells)]))
        lines.append(f"{100 * self.unused:.1f} % of the channels that can be cut are used by none of these")
        if several:
            lines.append(f"overlap (Jaccard index), mean over layers and pairs: {_percent(_between(self.overlap()))}")
        return "\n".join(lines)


def _alone(routes: DecisionRoutes) -> Tensor:
    return torch.eye(len(routes.names), dtype=torch.float64)


def _between(overlap: Tensor) -> float:
    """Mean over the pairs of different subjects; nan where there is none that is defined."""
    pairs = overlap[~torch.eye(len(overlap), dtype=torch.bool)]
    return float(pairs.nanmean())


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _clip(name: str) -> str:
    return name if len(name) <= 11 else f"{name[:10]}…"

"""Repair: refit a cut network layer by layer so that it gives what its source gave, in closed form.

Source and cut network run side by side over the calibration images, from one channel-mixing layer to the next. There
the cut one is refitted: from its own, already repaired inputs to the source's outputs (before normalisation) at the
kept channels. Each operator runs once in each network for each image, chunk by chunk, so that only what is still to be
read at a layer is held of all images. Where not all of them have room there, the first walk ahead, and the others join
where the maps are small enough: they run through both networks, of which the front is repaired by then.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, fx

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import fold_factors, kept_positions, ranks
from model_lego.data.batching import Images
from model_lego.errors import BadConfig
from model_lego.graph import Layer
from model_lego.graph.channels_last import innermost, pays
from model_lego.graph.leftovers import clear_away
from model_lego.graph.modules import first_parameter
from model_lego.graph.node_rows import Reader
from model_lego.graph.propagation import concrete
from model_lego.graph.rule import Window
from model_lego.processes import Group, add_up, place_in
from model_lego.progress import Progress, quiet
from model_lego.repairing.additions import addition_behind, made_up
from model_lego.repairing.blending import blended
from model_lego.repairing.holding import Holding, fit_bytes, give_back, holding, live_bytes, peak_bytes, resident
from model_lego.repairing.intercepts import home_of
from model_lego.repairing.least_squares import Fit
from model_lego.repairing.patches import input_rows, output_rows, row_count
from model_lego.repairing.rows import Rows, fit_few, fit_many, fit_means
from model_lego.repairing.side import Side

#: "ridge": refit weights and intercept; "mean": the intercept alone; "bn": re-estimate BatchNorm; "none"; "tuned":
#: "ridge", and then gradient steps towards the source, without labels.
Method = Literal["ridge", "mean", "bn", "none", "tuned"]

#: How long a component is tuned.
SECONDS = 120.0

aten = torch.ops.aten

#: So many rows a feature are plenty, also where `least_rows` would be more: of the few features of a depthwise layer.
PLENTY = 50
#: The part of the memory that is for activations and fits; the rest is for images, for what operators need beside their
#: results, and for what is freed in pieces.
WALKING = 2.5


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """How a cut network is repaired.

    `strength` is lambda in parts of the mean diagonal of X'X; None chooses one a layer, by how well a fit to half of
    the images tells what the others give. `rows` bounds the rows (images x positions) used to fit one layer, as a
    multiple of its features and at least `least_rows` (or fifty a feature, where that is less). `memory` bounds the
    bytes of the images, and with two fifths of it those of activations and of a fit: images for which there is no room
    at the large maps in front only fit the layers behind them. "tuned" takes `seconds` more than "ridge", or this many
    `steps`, with which the result is the same on any day. With `blend` pairs of images laid over each other fit layers
    as well, as many as there are images, or more where these are few.
    """

    method: Method = "ridge"
    strength: float | None = None
    rows: int = 5
    least_rows: int = 10_000
    memory: int = 2 << 30
    chunk: int = 16
    seed: int = 0
    seconds: float = SECONDS
    steps: int | None = None
    blend: bool = True

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise BadConfig(f"repair method '{self.method}' is unknown; use 'ridge', 'mean', 'bn', 'none' or 'tuned'")
        if self.strength is not None and not self.strength > 0:
            raise BadConfig(f"repair strength {self.strength} has to be positive")
        if self.memory < 1:
            raise BadConfig(f"a repair with {self.memory} bytes of memory holds nothing; give some, as 2 << 30")
        if not (self.seconds > 0 and math.isfinite(self.seconds)):
            raise BadConfig(f"a component cannot be tuned for {self.seconds} seconds; give more than 0, as 120")
        if self.steps is not None and self.steps < 1:
            raise BadConfig(f"a component cannot be tuned in {self.steps} steps; give 1 or more, or seconds")
        if self.method != "tuned" and (self.seconds, self.steps) != (SECONDS, None):
            raise BadConfig(f"seconds and steps are of a component that is tuned; the repair is '{self.method}'")

    @property
    def training_free(self) -> "RepairSettings":
        """The same without any gradient step: what is tuned is refitted in closed form first."""
        return replace(self, method="ridge", seconds=SECONDS, steps=None) if self.method == "tuned" else self


def as_settings(repair: Method | RepairSettings, *, seed: int = 0) -> RepairSettings:
    """Full settings of a repair that is given by its method, with a seed, or by full settings. Raises BadConfig."""
    return repair if isinstance(repair, RepairSettings) else RepairSettings(method=repair, seed=seed)


@torch.no_grad()
def repair_model(
    cut: Cut,
    images: Images,
    *,
    settings: RepairSettings | None = None,
    progress: Progress = quiet,
    group: Group = None,
) -> tuple[str, ...]:
    """Refit a cut network in place on calibration images (N x C x H x W); gives the layers that were left alone.

    The source is only run. Of the processes of a `group`, all of which are given all images, each runs a share of
    them; all come to the same fits. Raises ProcessFailed.
    """
    settings = settings or RepairSettings()
    if settings.method == "none":
        return ()
    return Walk(Side(cut.source, cut.graph.program), Side(cut.module, cut.program), cut, settings, group).run(
        images, progress
    )


class Walk:
    """Both networks at the same operator, from the images to the logits."""

    def __init__(self, source: Side, own: Side, cut: Cut, settings: RepairSettings, group: Group) -> None:
        self.source, self.cut, self.graph, self.selection = source, own, cut.graph, cut.selection
        self.settings, self.group = settings, group
        self.layers = {layer.node: layer for layer in self.graph.layers}
        weights = [layer.weight for layer in self.graph.layers]
        self.shared = {weight for weight in weights if weights.count(weight) > 1}
        self.readers = {side.program: Reader(side.program, self.graph.rules, side.model) for side in (source, own)}
        self.carried = bool(self.readers[source.program].carried)
        self.rank = ranks(self.graph, self.selection)
        self.numbers: list[int] = []  # of the chunks that are held
        self.chunk, self.first = 1, torch.ones(0, dtype=torch.bool)  # images at once; which are of the first half
        self.left_alone: list[str] = []

    def run(self, images: Images, progress: Progress) -> tuple[str, ...]:
        """Walk through both programs from stop to stop, over this process's share of the chunks."""
        clear_away(self.source.model)  # what was cut before would come on top of this
        give_back()
        room = resident() + int(self.settings.memory / WALKING)
        like, fast = first_parameter(self.source.model), pays(self.source.program, self.source.model)
        stops = self._stops()
        blends = self.settings.blend and self.settings.method == "ridge" and not self.carried
        seen = blended(images, self.settings.seed, blends=blends)
        held = self._holding(len(seen), stops)
        self.chunk, self.first = held.chunk, seen.first
        if self.carried:
            for reader in self.readers.values():
                reader.start(images[:].to(like))
        rank, count = place_in(self.group)
        waiting = list(range(rank, math.ceil(len(seen) / held.chunk), count))[::-1]
        for before, stop, chunks in zip([None, *stops], stops, held.chunks, strict=False):
            given = {number: self._advance(number, before, stop) for number in self.numbers}
            while waiting and waiting[-1] < chunks * count:
                number = waiting.pop()
                some = seen[number * held.chunk : (number + 1) * held.chunk].to(like)
                for side in (self.source, self.cut):
                    side.start(number, innermost(some) if fast else some)
                given[number] = self._advance(number, None, stop)
            self.numbers = list(given)
            self._mend(self.source.calls[stop], self.cut.calls[stop], given)
            given.clear()
            give_back(room)
            progress("repairing", stop + 1, stops[-1] + 1)
        return tuple(self.left_alone)

    def _stops(self) -> list[int]:
        """The places of the operators at which the cut network is changed."""
        estimated = self.settings.method == "bn"
        return [
            place
            for place, node in enumerate(self.source.calls)
            if (node.target == aten.batch_norm.default if estimated else node.name in self.layers)
        ]

    def _advance(self, number: int, before: int | None, stop: int) -> Any:
        """Bring a chunk from one stop, or the images, to the next: the cut network up to it, the source through it.

        Gives what the source gives there.
        """
        for ours in self.cut.calls[before or 0 : stop]:
            self.cut.run(ours, number)
        for theirs in self.source.calls[0 if before is None else before + 1 : stop]:
            self.source.run(theirs, number)
        return self.source.run(self.source.calls[stop], number)

    def _mend(self, theirs: fx.Node, ours: fx.Node, given: Mapping[int, Any]) -> None:
        """Change the cut network at a stop, by what the source gives there."""
        if self.settings.method == "bn":
            self._estimate(ours)
        else:
            self._refit(self.layers[theirs.name], theirs, ours, given)

    def _holding(self, images: int, stops: Sequence[int]) -> Holding:
        """How many images each process holds at each stop."""
        if self.carried:  # all samples read the same values
            return Holding(images, (1,) * len(stops))
        theirs, ours = (live_bytes(side.program, side.last_use) for side in (self.source, self.cut))
        needs = [theirs[stop] + (ours[stop - 1] if stop else 0) for stop in stops]
        share = math.ceil(images / place_in(self.group)[1])

        def fits(at_once: int) -> list[int]:
            return [self._fit_bytes(self.cut.calls[stop], images, at_once / share) for stop in stops]

        memory = int(self.settings.memory / WALKING)
        peak = max(peak_bytes(self.source.program, theirs), peak_bytes(self.cut.program, ours))
        return holding(needs, fits, share, memory=memory, chunk=self.settings.chunk, peak=peak)

    def _fit_bytes(self, ours: fx.Node, images: int, at_once: float) -> int:
        """What fitting a layer takes where such a share of the images runs at once."""
        layer = self.layers.get(ours.name)
        if layer is None or self.settings.method != "ridge":
            return 0
        window = self._window(ours)
        weight = self.cut.program.tensor(self.cut.model, layer.weight)
        groups, features, outputs = _by_feature(weight, window.groups).shape
        places = row_count(ours.meta["val"], window) // self.cut.program.batch
        rows = min(images * places, self._row_limit(features))
        return fit_bytes(groups, features, outputs, rows, math.ceil(at_once * rows))

    def _row_limit(self, features: int) -> int:
        """How many rows a layer is fitted to at most."""
        return max(min(self.settings.least_rows, PLENTY * features), self.settings.rows * features)

    def _refit(self, layer: Layer, theirs: fx.Node, ours: fx.Node, wanted: Mapping[int, Tensor]) -> None:
        weight = self.cut.program.tensor(self.cut.model, layer.weight)
        window = self._window(ours)
        home = home_of(self.cut.model, self.cut.program, self.graph.rules, ours)
        if layer.weight in self.shared or window.transposed or home is None:
            self.left_alone.append(layer.name)
            return
        flat = _by_feature(weight, window.groups).double().cpu()
        given = {number: self._read(self.source, theirs, y) for number, y in wanted.items()}
        counted = torch.tensor(sum(row_count(y, window) for y in given.values()))
        add_up([counted], self.group)
        total, features = int(counted), flat.shape[1]
        cap = self._row_limit(features)
        kept = kept_positions(layer.outputs, self.selection, self.rank).to(weight.device)

        factors = [
            factor[kept.cpu()].to(weight) for _, factor in fold_factors(self.graph, self.selection, layer.weight)
        ]

        def rows() -> Iterator[Rows]:
            for number, y in given.items():
                (x, *_), _ = self.cut.arguments(ours, number)  # the cut network's own, already repaired inputs
                x = self._read(self.cut, ours, x)
                places, first = self._places(layer.name, number, row_count(y, window), min(1.0, cap / total))
                places = places.to(weight.device)
                y = output_rows(y, window, places, kept)
                for factor in factors:  # what stands in for the scale of wider queries
                    y = y * factor
                yield input_rows(x, window, places), y + self._missing(theirs, ours, number, places, kept), first

        fit = self._solve(rows(), flat, few=min(total, cap) < features)
        weight += _as_weight(fit.change, weight.shape).to(weight)
        there = home_of(self.source.model, self.source.program, self.graph.rules, theirs)
        home.settle(fit.intercept.reshape(-1), there, kept)

    def _missing(self, theirs: fx.Node, ours: fx.Node, number: int, places: Tensor, kept: Tensor) -> Tensor | float:
        """What the component's other branch of an addition gives too little of, to be made up for by this layer."""
        pair = addition_behind(theirs), addition_behind(ours)
        if None in pair or self.settings.method != "ridge" or self.carried:
            return 0.0
        beside = [
            side.ahead(addition.other, number, self.layers)  # type: ignore[union-attr]
            for side, addition in zip((self.source, self.cut), pair, strict=True)
        ]
        if beside[0] is None or beside[1] is None:
            return 0.0
        window, every = self._window(ours), torch.arange(len(kept), device=kept.device)
        wanted, given = output_rows(beside[0], window, places, kept), output_rows(beside[1], window, places, every)
        return made_up(wanted - given, pair[1].scale(self.cut), window.groups)  # type: ignore[union-attr]

    def _solve(self, rows: Iterable[Rows], weight: Tensor, *, few: bool) -> Fit:
        """Fit a layer of this weight (groups x features x outputs); `few`: there are fewer rows than features."""
        if self.settings.method == "mean":
            return fit_means(rows, weight, self.group)
        if few:
            return fit_few(rows, weight, self.settings.strength, self.group)
        return fit_many(rows, weight, self.settings.strength, self.group)

    def _window(self, ours: fx.Node) -> Window:
        """What a layer of the cut network reads where."""
        rule = self.graph.rules[ours.target]
        assert rule.window is not None  # every mixing row has one
        shapes = [concrete(a.meta["val"].shape) if isinstance(a, fx.Node) else None for a in ours.args]
        return rule.window(list(ours.args), shapes)

    def _read(self, side: Side, node: fx.Node, value: Tensor) -> Tensor:
        """Of what a layer reads or writes, what belongs to the images."""
        return self.readers[side.program].read(node.name, value)

    def _places(self, layer: str, number: int, count: int, share: float) -> tuple[Tensor, int]:
        """The rows of a chunk that are used, those of the first half of the images in front, and how many these are.

        They are the same whichever process has the chunk, and whatever the operator is called.
        """
        places = torch.arange(count)
        if share < 1:
            generator = torch.Generator().manual_seed(seed_of(self.settings.seed, layer, number))
            places = torch.randperm(count, generator=generator)[: max(1, round(share * count))]
        own = self.first[number * self.chunk : (number + 1) * self.chunk]
        first = own[places * len(own) // count]
        return torch.cat([places[first], places[~first]]), int(first.sum())

    def _estimate(self, ours: fx.Node) -> None:
        """Set the running statistics of a BatchNorm to those of the cut network's own values."""
        channels = ours.args[0].meta["val"].shape[1]  # type: ignore[union-attr]
        count, (total, squares) = torch.zeros((), dtype=torch.float64), torch.zeros(2, channels, dtype=torch.float64)
        for number in self.numbers:
            (x, *_), _ = self.cut.arguments(ours, number)
            values = x.double().cpu().transpose(0, 1).flatten(1)
            count += values.shape[1]
            total += values.sum(1)
            squares += values.square().sum(1)
        add_up([count, total, squares], self.group)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        for place, value in ((3, mean), (4, variance)):
            node = ours.args[place]
            if isinstance(node, fx.Node):
                buffer = self.cut.program.tensor(self.cut.model, self.cut.program.tensors[node.name])
                buffer.copy_(value.to(buffer))


def seed_of(*what: object) -> int:
    """A seed that belongs to these words and numbers."""
    return int.from_bytes(hashlib.blake2b(repr(what).encode(), digest_size=7).digest())


def _by_feature(weight: Tensor, groups: int) -> Tensor:
    """Weights as groups x features x outputs/groups, of each tap all channels as in `input_rows`."""
    return weight.movedim(1, -1).reshape(groups, weight.shape[0] // groups, -1).transpose(1, 2)


def _as_weight(change: Tensor, shape: torch.Size) -> Tensor:
    """What `_by_feature` gives, as a weight of this shape."""
    return change.transpose(1, 2).reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1)

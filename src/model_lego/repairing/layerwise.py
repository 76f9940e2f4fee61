"""Repair: refit a cut network layer by layer so that it gives what its source gave, in closed form.

Source and cut network run side by side over the calibration images, one operator after the other. At each
channel-mixing layer the cut one is refitted: from its own, already repaired inputs to the source's outputs (before
normalisation) at the kept channels. Each operator runs once in each network for each image. Where not all images have
room at an operator, the first of them walk ahead, and the others join where the maps are small enough: they run through
both networks, of which the front is repaired by then.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Literal

import torch
from torch import Tensor, fx

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions, ranks
from model_lego.errors import BadConfig
from model_lego.graph import Layer
from model_lego.graph.channels_last import innermost, pays
from model_lego.graph.node_rows import Reader
from model_lego.graph.propagation import concrete
from model_lego.graph.rule import Window
from model_lego.processes import Group, add_up, in_all, place_in
from model_lego.progress import Progress, quiet
from model_lego.repairing.additions import addition_behind, made_up
from model_lego.repairing.holding import Holding, fit_bytes, holding, live_bytes
from model_lego.repairing.intercepts import home_of
from model_lego.repairing.least_squares import Fit, Moments, ridge, ridge_dual, shift_only
from model_lego.repairing.patches import input_rows, output_rows, row_count
from model_lego.repairing.side import Side

#: "ridge": refit weights and intercept; "mean": the intercept alone; "bn": re-estimate BatchNorm; "none".
Method = Literal["ridge", "mean", "bn", "none"]

aten = torch.ops.aten

#: Rows of a fit: groups x rows x features, and groups x rows x outputs.
Rows = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """How a cut network is repaired.

    `strength` is lambda in parts of the mean diagonal of X'X; `rows` bounds the rows (images x positions) used to fit
    one layer, as a multiple of its features and at least `least_rows`; `memory` bounds the bytes of activations and of
    a fit: images for which there is no room at the large maps in front only fit the layers behind them.
    """

    method: Method = "ridge"
    strength: float = 1e-2
    rows: int = 5
    least_rows: int = 10_000
    memory: int = 2 << 30
    chunk: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("ridge", "mean", "bn", "none"):
            raise BadConfig(f"repair method '{self.method}' is unknown; use 'ridge', 'mean', 'bn' or 'none'")
        if not self.strength > 0:
            raise BadConfig(f"repair strength {self.strength} has to be positive")
        if self.memory < 1:
            raise BadConfig(f"a repair with {self.memory} bytes of memory holds nothing; give some, as 2 << 30")


def as_settings(repair: Method | RepairSettings, *, seed: int = 0) -> RepairSettings:
    """Full settings of a repair that is given by its method, with a seed, or by full settings. Raises BadConfig."""
    return repair if isinstance(repair, RepairSettings) else RepairSettings(method=repair, seed=seed)


@torch.no_grad()
def repair_model(
    cut: Cut,
    images: Tensor,
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
        self.rank = ranks(self.graph, self.selection)
        self.numbers: list[int] = []  # of the chunks that are held
        self.left_alone: list[str] = []

    def run(self, images: Tensor, progress: Progress) -> tuple[str, ...]:
        """Walk through both programs in step, over this process's share of the chunks."""
        self.images, held = images, self._holding(images)
        rank, count = place_in(self.group)
        fast = pays(self.source.program, self.source.model)
        waiting = [(number, some) for number, some in enumerate(images.split(held.chunk)) if number % count == rank]
        waiting.reverse()
        steps = list(zip(self.source.calls, self.cut.calls, strict=True))
        for place, (theirs, ours) in enumerate(steps):
            while waiting and waiting[-1][0] < held.chunks[place] * count:
                number, some = waiting.pop()
                self._join(number, innermost(some) if fast else some, steps[:place])
            self._step(theirs, ours)
            progress("repairing", place + 1, len(steps))
        return tuple(self.left_alone)

    def _holding(self, images: Tensor) -> Holding:
        """How many images each process holds at each operator."""
        live = [live_bytes(side.program, side.last_use) for side in (self.source, self.cut)]
        needs = [theirs + max(ours) for theirs, ours in zip(live[0], pairwise([0, *live[1]]), strict=True)]
        share = math.ceil(len(images) / place_in(self.group)[1])
        if self.readers[self.source.program].carried:  # all samples read the same values
            return Holding(len(images), (1,) * len(needs))

        def fits(at_once: float) -> list[int]:
            return [self._fit_bytes(node, len(images), at_once) for node in self.cut.calls]

        return holding(needs, fits, share, memory=self.settings.memory, chunk=self.settings.chunk)

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
        return max(self.settings.least_rows, self.settings.rows * features)

    def _join(self, number: int, images: Tensor, front: Sequence[tuple[fx.Node, fx.Node]]) -> None:
        """Let a chunk of images through the front of both networks."""
        self.numbers.append(number)
        for side in (self.source, self.cut):
            side.start(number, images)
        for theirs, ours in front:
            self.source.run(theirs, number)
            self.cut.run(ours, number)

    def _step(self, theirs: fx.Node, ours: fx.Node) -> None:
        layer = self.layers.get(theirs.name)
        wanted = {}
        for number in self.numbers:
            value = self.source.run(theirs, number)
            if layer is not None:
                wanted[number] = value
        if layer is not None and self.settings.method != "bn":
            self._refit(layer, theirs, ours, wanted)
        if self.settings.method == "bn" and theirs.target == aten.batch_norm.default:
            self._estimate(ours)
        for number in self.numbers:
            self.cut.run(ours, number)

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

        def rows() -> Iterator[Rows]:
            for number, y in given.items():
                (x, *_), _ = self.cut.arguments(ours, number)  # the cut network's own, already repaired inputs
                x = self._read(self.cut, ours, x)
                places = self._places(ours, number, row_count(y, window), min(1.0, cap / total))
                places = places.to(weight.device)
                y = output_rows(y, window, places, kept)
                yield input_rows(x, window, places), y + self._missing(theirs, ours, number, places, kept)

        fit = self._solve(rows(), flat, few=min(total, cap) < features and self.settings.method == "ridge")
        weight += _as_weight(fit.change, weight.shape).to(weight)
        there = home_of(self.source.model, self.source.program, self.graph.rules, theirs)
        home.settle(fit.intercept.reshape(-1), there, kept)

    def _missing(self, theirs: fx.Node, ours: fx.Node, number: int, places: Tensor, kept: Tensor) -> Tensor | float:
        """What the component's other branch of an addition gives too little of, to be made up for by this layer."""
        pair = addition_behind(theirs), addition_behind(ours)
        if None in pair or self.settings.method != "ridge" or self.readers[self.source.program].carried:
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
        if few:
            held = [(x.double().cpu(), y.double().cpu()) for x, y in rows]
            pairs = list(chain.from_iterable(in_all(lambda: held, self.group)))
            x_all, y_all = (torch.cat([pair[side] for pair in pairs], 1) for side in (0, 1))
            return ridge_dual(x_all, y_all, weight, self.settings.strength)
        moments = Moments(*weight.shape)
        for x, y in rows:
            moments.add(x, y)
        moments.add_up(self.group)
        if self.settings.method == "mean":
            _, _, x_mean, y_mean = moments.centred()
            return shift_only(x_mean, y_mean, weight)
        return ridge(moments, weight, self.settings.strength)

    def _window(self, ours: fx.Node) -> Window:
        """What a layer of the cut network reads where."""
        rule = self.graph.rules[ours.target]
        assert rule.window is not None  # every mixing row has one
        shapes = [concrete(a.meta["val"].shape) if isinstance(a, fx.Node) else None for a in ours.args]
        return rule.window(list(ours.args), shapes)

    def _read(self, side: Side, node: fx.Node, value: Tensor) -> Tensor:
        """Of what a layer reads or writes, what belongs to the images."""
        reader = self.readers[side.program]
        reader.start(self.images)
        return reader.read(node.name, value)

    def _places(self, ours: fx.Node, number: int, count: int, share: float) -> Tensor:
        """The rows of a chunk that are used: the same ones whichever process has the chunk."""
        if share == 1:
            return torch.arange(count)
        generator = torch.Generator().manual_seed(seed_of(self.settings.seed, ours.name, number))
        return torch.randperm(count, generator=generator)[: max(1, round(share * count))]

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

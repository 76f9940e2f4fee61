"""Repair: refit a cut network layer by layer so that it gives what its source gave, in closed form.

Source and cut network run side by side over all calibration images, one operator after the other. At each
channel-mixing layer the cut one is refitted: from its own, already repaired inputs to the source's outputs (before
normalisation) at the kept channels. Each operator runs once in each network, plus once more in the source of a fit.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions, ranks
from model_lego.errors import BadConfig
from model_lego.graph import Layer
from model_lego.graph.channels_last import COPIES, innermost, pays
from model_lego.graph.node_rows import Reader
from model_lego.graph.program import Program
from model_lego.graph.propagation import concrete
from model_lego.graph.rule import Window
from model_lego.processes import Group, add_up, in_all, place_in
from model_lego.progress import Progress, quiet
from model_lego.repairing.activation_store import Frontier
from model_lego.repairing.intercepts import settler
from model_lego.repairing.least_squares import Fit, Moments, ridge, ridge_dual, shift_only
from model_lego.repairing.patches import input_rows, output_rows, row_count

#: "ridge": refit weights and intercept; "mean": the intercept alone; "bn": re-estimate BatchNorm; "none".
Method = Literal["ridge", "mean", "bn", "none"]

aten = torch.ops.aten

#: Rows of a fit: groups x rows x features, and groups x rows x outputs.
Rows = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """How a cut network is repaired.

    `strength` is lambda in parts of the mean diagonal of X'X; `rows` bounds the rows (images x positions) used to fit
    one layer, as a multiple of its features and at least `least_rows`; `memory` bounds the bytes of activations held
    in memory, beyond which they go to a temporary file.
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


def as_settings(repair: Method | RepairSettings, *, seed: int = 0) -> RepairSettings:
    """Full settings of a repair that is given by its method, with a seed, or by full settings. Raises BadConfig."""
    return repair if isinstance(repair, RepairSettings) else RepairSettings(method=repair, seed=seed)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two networks that run side by side."""

    model: nn.Module
    program: Program
    frontier: Frontier


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
    rank, count = place_in(group)
    at_once = len(images) if Reader(cut.graph.program, cut.graph.rules, cut.source).carried else settings.chunk
    chunks = {number: chunk for number, chunk in enumerate(images.split(at_once)) if number % count == rank}
    with Frontier(settings.memory // 2) as left, Frontier(settings.memory // 2) as right:
        source = Side(cut.source, cut.graph.program, left)
        return Walk(source, Side(cut.module, cut.program, right), cut, settings, group).run(chunks, progress)


class Walk:
    """Both networks at the same operator, from the images to the logits."""

    def __init__(self, source: Side, own: Side, cut: Cut, settings: RepairSettings, group: Group) -> None:
        self.source, self.cut, self.graph, self.selection = source, own, cut.graph, cut.selection
        self.settings, self.group = settings, group
        self.layers = {layer.node: layer for layer in self.graph.layers}
        weights = [layer.weight for layer in self.graph.layers]
        self.shared = {weight for weight in weights if weights.count(weight) > 1}
        self.readers = {side.program: Reader(side.program, self.graph.rules, side.model) for side in (source, own)}
        self.last_use = {side.program: _last_uses(side.program) for side in (source, own)}
        self.rank = ranks(self.graph, self.selection)
        self.left_alone: list[str] = []

    def run(self, chunks: Mapping[int, Tensor], progress: Progress) -> tuple[str, ...]:
        """Walk through both programs in step, over chunks of images by their number."""
        fast = pays(self.source.program, self.source.model)
        self.numbers = list(chunks)
        self.images = [innermost(images) if fast else images for images in chunks.values()]
        for side in (self.source, self.cut):
            for node in side.program.module.graph.find_nodes(op="placeholder"):
                if node.name == side.program.image:
                    side.frontier.put(node, self.images)
        calls = [
            [node for node in side.program.nodes if node.op == "call_function"] for side in (self.source, self.cut)
        ]
        for done, (theirs, ours) in enumerate(zip(*calls, strict=True)):
            self._step(theirs, ours, len(chunks))
            progress("repairing", done + 1, len(calls[0]))
        return tuple(self.left_alone)

    def _step(self, theirs: fx.Node, ours: fx.Node, chunks: int) -> None:
        layer = self.layers.get(theirs.name)
        wanted = [self._call(self.source, theirs, number) for number in range(chunks)]
        if layer is not None and self.settings.method != "bn":
            self._refit(layer, theirs, ours, wanted)
        if self.settings.method == "bn" and theirs.target == aten.batch_norm.default:
            self._estimate(ours, chunks)
        given = [self._call(self.cut, ours, number) for number in range(chunks)]
        for side, node, values in ((self.source, theirs, wanted), (self.cut, ours, given)):
            side.frontier.put(node, values)
            for dead in self.last_use[side.program].get(node, ()):
                side.frontier.drop(dead)

    def _call(self, side: Side, node: fx.Node, number: int) -> Any:
        args, kwargs = self._arguments(side, node, number)
        return COPIES.get(node.target, node.target)(*args, **kwargs)  # type: ignore[operator]

    def _arguments(self, side: Side, node: fx.Node, number: int) -> tuple[Any, Any]:
        def value(argument: fx.Node) -> Any:
            if argument.op == "placeholder" and argument.name != side.program.image:
                return side.program.tensor(side.model, side.program.tensors[argument.name])
            return side.frontier.values[argument][number]

        return fx.node.map_arg(node.args, value), fx.node.map_arg(node.kwargs, value)

    def _refit(self, layer: Layer, theirs: fx.Node, ours: fx.Node, wanted: Sequence[Tensor]) -> None:
        weight = self.cut.program.tensor(self.cut.model, layer.weight)
        window = self._window(ours)
        settle = settler(self.cut.model, self.cut.program, self.graph.rules, ours)
        if layer.weight in self.shared or window.transposed or settle is None:
            self.left_alone.append(layer.name)
            return
        flat = _by_feature(weight, window.groups).double().cpu()
        given = [self._read(self.source, theirs, y, place) for place, y in enumerate(wanted)]
        counted = torch.tensor(sum(row_count(y, window) for y in given))
        add_up([counted], self.group)
        total, features = int(counted), flat.shape[1]
        cap = max(self.settings.least_rows, self.settings.rows * features)
        kept = kept_positions(layer.outputs, self.selection, self.rank).to(weight.device)

        def rows() -> Iterator[Rows]:
            for place, (number, y) in enumerate(zip(self.numbers, given, strict=True)):
                (x, *_), _ = self._arguments(self.cut, ours, place)  # the cut network's own, already repaired inputs
                x = self._read(self.cut, ours, x, place)
                places = self._places(ours, number, row_count(y, window), min(1.0, cap / total))
                places = places.to(weight.device)
                yield input_rows(x, window, places), output_rows(y, window, places, kept)

        fit = self._solve(rows(), flat, few=min(total, cap) < features and self.settings.method == "ridge")
        weight += _as_weight(fit.change, weight.shape).to(weight)
        settle(fit.intercept.reshape(-1))

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

    def _read(self, side: Side, node: fx.Node, value: Tensor, place: int) -> Tensor:
        """Of what a layer reads or writes, what belongs to the images of a chunk."""
        reader = self.readers[side.program]
        reader.start(self.images[place])
        return reader.read(node.name, value)

    def _places(self, ours: fx.Node, number: int, count: int, share: float) -> Tensor:
        """The rows of a chunk that are used: the same ones whichever process has the chunk."""
        if share == 1:
            return torch.arange(count)
        generator = torch.Generator().manual_seed(seed_of(self.settings.seed, ours.name, number))
        return torch.randperm(count, generator=generator)[: max(1, round(share * count))]

    def _estimate(self, ours: fx.Node, chunks: int) -> None:
        """Set the running statistics of a BatchNorm to those of the cut network's own values."""
        channels = ours.args[0].meta["val"].shape[1]  # type: ignore[union-attr]
        count, (total, squares) = torch.zeros((), dtype=torch.float64), torch.zeros(2, channels, dtype=torch.float64)
        for number in range(chunks):
            (x, *_), _ = self._arguments(self.cut, ours, number)
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


def _last_uses(program: Program) -> dict[fx.Node, list[fx.Node]]:
    """For each node the values that it is the last to read."""
    last: dict[fx.Node, fx.Node] = {}
    for node in program.nodes:
        for argument in node.all_input_nodes:
            last[argument] = node
        if node.op == "call_function" and not node.users:
            last[node] = node
    dying: dict[fx.Node, list[fx.Node]] = {}
    for value, user in last.items():
        if user.op != "output" and (value.op == "call_function" or value.name == program.image):
            dying.setdefault(user, []).append(value)
    return dying

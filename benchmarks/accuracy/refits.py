"""Other ways to repair than the library's: what a layer is fitted from, to what, and how strongly it is held back."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

import model_lego as ml
from benchmarks.accuracy.cases import Case
from model_lego.cutting.slicing import kept_positions
from model_lego.graph import Layer
from model_lego.graph.program import export_program
from model_lego.progress import quiet
from model_lego.repairing.activation_store import Frontier
from model_lego.repairing.intercepts import give_biases
from model_lego.repairing.layerwise import Rows, Side, Walk
from model_lego.repairing.least_squares import Fit, Moments, ridge, ridge_dual

#: Strengths that cross-validation tries, and the parts that the images are split into for it.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 4
#: Channels that a BatchNorm scales by less, in parts of its mean factor, cannot make up for anything.
LEAST_SCALE = 1e-2

aten = torch.ops.aten


class FromSource(Walk):
    """Fits each layer from the source's inputs at the kept channels, by itself."""

    def inputs(self, layer: Layer, theirs: fx.Node, ours: fx.Node, place: int) -> Tensor:
        """The source's inputs."""
        (x, *_), _ = self._arguments(self.source, theirs, place)
        x, kept = self._read(self.source, theirs, x, place), kept_positions(layer.inputs, self.selection)
        return x.index_select(1 if self._window(ours).kernel else x.dim() - 1, kept)


class ToSums(Walk):
    """Fits a layer that feeds a sum to the source's sum less what the cut network's other branch gives.

    Where both branches end in a layer, the one that runs last makes up for the other.
    """

    def goals(self, layer: Layer, theirs: fx.Node, ours: fx.Node, y: Tensor, place: int) -> Tensor:
        """The source's outputs, corrected for what the other branch is off by."""
        goals = super().goals(layer, theirs, ours, y, place)
        here, there = summed(ours), summed(theirs)
        if here is None or there is None:
            return goals
        found = self._known(self.cut, here.other, place)
        if found is None:
            return goals
        kept = kept_positions(layer.outputs, self.selection, self.rank)
        off = self._known(self.source, there.other, place).index_select(1, kept) - found
        off = off if here.norm is None else off / self._scale(here.norm, off.dim())
        return goals.index_add(1, kept, off)

    def _known(self, side: Side, node: fx.Node, place: int) -> Any:
        """A value of a chunk, run now if no layer is needed for it that is still to come; else None."""
        if node in side.frontier.values:
            return side.frontier.values[node][place]
        if node.op == "placeholder":
            return side.program.tensor(side.model, side.program.tensors[node.name])
        if self.graph.rules[node.target].window is not None:
            return None
        values = {each: self._known(side, each, place) for each in node.all_input_nodes}
        if any(value is None for value in values.values()):
            return None
        arguments, options = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        return node.target(*arguments, **options)  # type: ignore[operator]

    def _scale(self, norm: fx.Node, dims: int) -> Tensor:
        """What a BatchNorm multiplies each channel by; infinite where that is next to nothing."""
        program, (_, gain, _, _, variance) = self.cut.program, norm.all_input_nodes
        weight, spread = (program.tensor(self.cut.model, program.tensors[node.name]) for node in (gain, variance))
        scale: Tensor = weight / (spread + float(norm.args[7])).sqrt()  # type: ignore[arg-type]
        scale = scale.masked_fill(scale.abs() < LEAST_SCALE * scale.abs().mean(), torch.inf)
        return scale.reshape(-1, *[1] * (dims - 2))


class Validated(Walk):
    """Chooses the strength of each layer by cross-validation over the chunks of images."""

    def solve(self, rows: Iterable[Rows], weight: Tensor, few: bool) -> Fit:
        """The fit with the strength that is best on rows of held-out images."""
        chunks = list(rows)
        errors = torch.zeros(len(STRENGTHS), dtype=torch.float64)
        for place, (x, y) in enumerate(chunks):
            fitted = _fitter(chunks[:place] + chunks[place + 1 :], weight)
            for number, strength in enumerate(STRENGTHS):
                fit = fitted(strength)
                errors[number] += (y - x.double() @ (weight + fit.change) - fit.intercept[:, None]).square().sum()
        return _fitter(chunks, weight)(STRENGTHS[int(errors.argmin())])


def _fitter(chunks: Sequence[Rows], weight: Tensor) -> Callable[[float], Fit]:
    """The fit of some rows, for any strength."""
    x, y = (torch.cat(column, 1) for column in zip(*chunks, strict=True))
    if x.shape[1] < x.shape[2]:
        return lambda strength: ridge_dual(x, y, weight, strength)
    moments = Moments(*weight.shape)
    moments.add(x, y)
    return lambda strength: ridge(moments, weight, strength)


@dataclass(frozen=True, slots=True, eq=False)
class Summed:
    """The sum that a layer feeds: the BatchNorm between them, if there is one, and what is added."""

    norm: fx.Node | None
    other: fx.Node


def summed(node: fx.Node) -> Summed | None:
    """The sum of two values of one shape that a layer's output alone, or its BatchNorm's, goes into; None without."""
    norm, end = None, node
    if [user.target for user in end.users] == [aten.batch_norm.default]:
        (norm,) = (end,) = list(end.users)
    if [user.target for user in end.users] != [aten.add.Tensor]:
        return None
    (add,) = end.users
    others = [each for each in add.all_input_nodes if each is not end]
    weighted = bool(add.kwargs) or len(add.args) > 2
    if weighted or not others or others[0].meta["val"].shape != end.meta["val"].shape:
        return None
    return Summed(norm, others[0])


#: The library's way first; the others are held against it.
WAYS: dict[str, type[Walk]] = {
    "as by default": Walk,
    "from the source's inputs": FromSource,
    "to the source's sum": ToSums,
    "lambda by cross-validation": Validated,
}


@torch.no_grad()
def refitted(case: Case, images: Tensor, way: type[Walk]) -> nn.Module:
    """The cut network of a case, repaired in this way on calibration images; in as many chunks as there are folds."""
    module, settings = deepcopy(case.cut), ml.RepairSettings()
    given = give_biases(module, case.graph.program, case.graph.rules, case.graph.layers)
    program = export_program(module, images) if given else case.program
    with Frontier(settings.memory // 2) as left, Frontier(settings.memory // 2) as right:
        sides = Side(case.source, case.graph.program, left), Side(module, program, right)
        way(*sides, case.graph, case.selection, settings, None).run(dict(enumerate(images.tensor_split(FOLDS))), quiet)
    return module


def ways_for(case: Case) -> dict[str, type[Walk]]:
    """The ways that differ for a network: without sums there are no other targets."""
    nodes = {node.name: node for node in case.graph.program.nodes}
    sums = any(summed(nodes[layer.node]) for layer in case.graph.layers)
    return {name: way for name, way in WAYS.items() if sums or way is not ToSums}

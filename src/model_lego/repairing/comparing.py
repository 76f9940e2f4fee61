"""Where a cut network is compared with its source: what its layers read, and what both give at the end."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from model_lego.cutting.cut import Cut
from model_lego.cutting.slicing import kept_positions, ranks
from model_lego.graph.channels_last import InnermostRunner
from model_lego.graph.program import Program
from model_lego.parts.logits import main_logits

#: The share of a value's mean square below which its variance does not count, as it may be rounding.
STILL = 1e-4
#: What is done with a value as soon as it is there, by the name of its node.
Hearing = Mapping[str, Callable[[Tensor], None]]


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A value of both networks: its nodes in the source and in the cut one, and which channels of dimension `dim`."""

    theirs: str
    ours: str
    kept: Tensor
    dim: int

    def of_kept(self, value: Tensor) -> Tensor:
        """Of a value of the source, what the cut network has as well; rows, as torch takes columns of these fastest."""
        last = value.movedim(self.dim, -1)
        rows = last.reshape(-1, last.shape[-1]).index_select(1, self.kept.to(value.device))
        return rows.reshape(*last.shape[:-1], len(self.kept)).movedim(-1, self.dim)


def points_of(cut: Cut) -> tuple[Point, ...]:
    """The values that the layers of a cut network read, each once; not those that are the same for all images."""
    rank = ranks(cut.graph, cut.selection)
    pairs = zip(_calls(cut.graph.program), _calls(cut.program), strict=True)
    nodes: dict[str, Any] = {theirs.name: (theirs.args[0], ours.args[0]) for theirs, ours in pairs if theirs.args}
    found = {}
    for layer in cut.graph.layers:
        theirs, ours = nodes[layer.node]
        if theirs.op == "call_function" and theirs.meta["by_batch"]:
            kept = kept_positions(layer.inputs, cut.selection, rank)
            found[theirs.name] = Point(theirs.name, ours.name, kept, layer.window.channel_dim)
    return tuple(found.values())


def heard(program: Program, model: nn.Module, images: Tensor, hearing: Hearing) -> Tensor:
    """Run a network on images, which may be channels-last, with an ear on some values; gives logits."""
    values = [
        images if node.name == program.image else program.tensor(model, program.tensors[node.name])
        for node in program.module.graph.find_nodes(op="placeholder")
    ]
    return main_logits(_Listener(program.module, hearing).run(*values))


def divergence(given: Tensor, wanted: Tensor) -> Tensor:
    """How far answers (images x classes) are from others: the mean Jensen-Shannon divergence of their probabilities.

    No image counts for more than log 2, so that a few on which a sure network errs do not decide. Of a single class,
    whose probability is always 1, the mean squared difference, relative to the wanted variance.
    """
    if wanted.shape[1] == 1:
        return (given - wanted).square().mean() / spread(moments(wanted, 1))
    ours, theirs = given.log_softmax(1), wanted.log_softmax(1)
    middle = torch.logaddexp(ours, theirs) - math.log(2)
    return sum(F.kl_div(middle, each, log_target=True, reduction="batchmean") for each in (ours, theirs)) / 2  # type: ignore[return-value]


def moments(value: Tensor, dim: int) -> Tensor:
    """Of each channel of a value (dimension `dim`) the number of rows, their sum and that of their squares."""
    rows = value.movedim(dim, -1).reshape(-1, value.shape[dim]).double()
    return torch.stack([torch.full_like(rows[0], len(rows)), rows.sum(0), rows.square().sum(0)])


def spread(seen: Tensor) -> Tensor:
    """The mean variance of channels, from their moments; where they hardly vary, a part of their mean square."""
    count, total, squares = seen
    size = (squares / count).mean()
    variance: Tensor = size - (total / count).square().mean()
    return variance.clamp(min=STILL * float(size) + torch.finfo(torch.float32).tiny)


def log_ratios(answers: Tensor) -> Tensor:
    """Probabilities or their logarithms as logits whose mean is zero: the same over all classes and over some."""
    logarithms = answers.clamp(min=torch.finfo(answers.dtype).tiny).log() if bool((answers >= 0).all()) else answers
    return logarithms - logarithms.mean(1, keepdim=True)


class Squared(torch.autograd.Function):
    """The sum of squares, with one pass over the values on the way there and one on the way back."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """The sum."""
        ctx.save_for_backward(value)
        total: Tensor = torch.linalg.vector_norm(value).square()
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """Twice the values, by the slope."""
        (value,) = ctx.saved_tensors
        slopes: Tensor = value * (2 * slope)
        return slopes


class _Listener(InnermostRunner):
    """Runs a graph and tells what some operators give."""

    def __init__(self, module: fx.GraphModule, hearing: Hearing) -> None:
        super().__init__(module, None)
        self.hearing = hearing

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.hearing:
            self.hearing[n.name](value)
        return value


def _calls(program: Program) -> list[fx.Node]:
    return [node for node in program.nodes if node.op == "call_function"]

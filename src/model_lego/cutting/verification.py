"""Check a cut network against its plan: export it again, carry channels through it, compare with the masked source."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from model_lego.cutting.cut import Cut
from model_lego.cutting.masking import masked_run
from model_lego.cutting.slicing import kept_positions, ranks
from model_lego.errors import CutMismatch, LegoError
from model_lego.graph import labels as lab
from model_lego.graph.channels import ChannelGraph
from model_lego.graph.modules import first_line, hookless_copy, plain_run
from model_lego.graph.program import Program, export_program, refuse_misfits
from model_lego.graph.propagation import IDLE, carry_labels, concrete
from model_lego.graph.rule import Call, OpRule
from model_lego.graph.selection import ChannelSelection
from model_lego.parts.answers import Listener, answer_of, difference


def check_cut(
    module: nn.Module, source: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor
) -> Cut:
    """Check that a network is its source cut as planned, and give both as one value.

    Its operators, shapes and the channel at each position have to be the planned ones, and its logits on `images`
    those of the masked source. Raises CutMismatch, which names the layer.
    """
    images = images[:1].repeat(2, *[1] * (images.dim() - 1)) if len(images) == 1 else images
    program, logits = _program_of(module, graph, selection, images)
    expected = masked_run(source, graph, selection, images)
    if graph.normalises and len(selection.logits) < len(graph.head):
        expected = _over_fewer(expected)
        left = torch.isfinite(expected).all(1)  # where the softmax gave all to the other classes there is nothing
        if not bool(left.any()):
            return Cut(module, program, source, graph, selection)
        logits, expected = logits[left], expected[left]
    _compare(logits, expected)
    return Cut(module, program, source, graph, selection)


def cut_of(
    module: nn.Module, source: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor
) -> Cut:
    """As `check_cut`, but for the logits: of a network that was repaired, or is known to be right.

    Raises CutMismatch.
    """
    return Cut(module, _program_of(module, graph, selection, images)[0], source, graph, selection)


def _program_of(
    module: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor
) -> tuple[Program, Tensor]:
    """The program of a cut network, whose channels are the planned ones, and its logits. Raises CutMismatch."""
    known = _as_planned(module, graph, selection, images) if graph.suspects else None
    if known is not None:
        return known
    take = _exported if graph.suspects else _narrowed
    try:
        return take(module, graph, selection, images)
    except CutMismatch:
        raise
    except LegoError as error:
        raise CutMismatch(f"the cut network does not run: {error}") from error


@torch.no_grad()
def _exported(
    cut: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor
) -> tuple[Program, Tensor]:
    """Export the cut network again and carry the planned channels through it."""
    refuse_misfits(cut, images)  # most that do not fit do not run either, which takes no export to find out
    program = export_program(cut, images)
    if _operators(program) != _operators(graph.program):
        raise CutMismatch("the cut network runs other operators than its source")
    carry_labels(program, graph.rules, _Checker(graph, selection, program))
    return program, program.run(cut, images)


@torch.no_grad()
def _as_planned(
    cut: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor
) -> tuple[Program, Tensor] | None:
    """Where views alone may have numbers written into them: the source's operators with the sizes that were planned.

    None where the network does not run the very same ones, to the last bit of its logits; an export says why, or that
    it is right all the same.
    """
    if any(suspect.node not in graph.views for suspect in graph.suspects):
        return None
    groups = _groups(graph, selection)
    sizes = {node: _sizes(labels, selection) for node, labels in graph.views.items()}
    try:
        with Listener() as planned:
            program, expected = graph.program.narrowed(cut, images, groups, sizes)
        twin = hookless_copy(cut, share=cut.parameters())
        with Listener() as found:
            logits = answer_of(twin, images)
    except Exception:  # a size does not fit, or the forward is one that an export has to tell about
        return None
    same = planned.digest.digest() == found.digest.digest() and torch.equal(expected, logits)
    return (program, logits) if same else None


def _sizes(labels: Tensor, selection: ChannelSelection) -> dict[int, int]:
    """The sizes of a value along the dimensions that carry its channels: rows of which something is kept, and how much.

    In each row that is kept there is as much.
    """
    carried, kept = lab.carried(labels), selection.keep[labels] & (labels != lab.NONE)
    rows = {dim: int(kept.movedim(dim, 0).flatten(1).any(1).sum()) for dim in carried[:-1]}
    return rows | {dim: int(kept.sum(dim).max()) for dim in carried[-1:]}


@torch.no_grad()
def _narrowed(
    cut: nn.Module, graph: ChannelGraph, selection: ChannelSelection, images: Tensor
) -> tuple[Program, Tensor]:
    """Where no number of channels can be written into the forward, the operators are known: those of the source.

    What the network itself gives has to be what they give.
    """
    try:
        program, expected = graph.program.narrowed(cut, images, _groups(graph, selection))
        logits = plain_run(cut, images)
    except Exception as error:  # the forward is the user's own
        raise CutMismatch(f"the cut network does not run: {first_line(error)}") from error
    _compare(logits, expected)
    return program, logits


def _groups(graph: ChannelGraph, selection: ChannelSelection) -> dict[str, tuple[int, int]]:
    """The nodes whose number of groups is another one now: its place among their arguments, and the number."""
    return {
        each.node: (each.place, each.groups * selection.kept(each.channels) // len(each.channels))
        for each in graph.divided
        if each.place is not None
    }


def _operators(program: Program) -> list[str]:
    return [str(node.target) for node in program.nodes if node.op == "call_function" and node.target not in IDLE]


def _over_fewer(expected: Tensor) -> Tensor:
    """What a softmax, or its logarithm, gives over the kept classes alone: it adds up to one again."""
    if bool((expected < 0).any()):
        return expected.log_softmax(1)
    return expected / expected.sum(1, keepdim=True)


def _compare(logits: Tensor, expected: Tensor) -> None:
    if apart := difference(expected, logits):
        raise CutMismatch(
            f"the cut network gives, beside its masked source, {apart}; its forward depends on channel numbers"
        )


@dataclass
class _Checker:
    """A tracker that compares instead of collecting: channels at each position have to be the planned ones."""

    graph: ChannelGraph
    selection: ChannelSelection
    program: Program
    position: int = 0
    count: int = 0
    planned: list[fx.Node] = field(default_factory=list)
    rank: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.rank = ranks(self.graph, self.selection)

    def _kept(self, channels: Tensor) -> Tensor:
        return channels[kept_positions(channels, self.selection, self.rank)]

    def _born(self, size: int, where: str) -> Tensor:
        channels = self.graph.births.get((self.position, self.count))
        self.count += 1
        if channels is None or len(self._kept(channels)) != size:
            raise CutMismatch(f"layer '{where}' makes {size} channels that were not planned")
        return self._kept(channels)

    def image(self, shape: tuple[int, ...]) -> Tensor:
        return lab.along(self.graph.births[(-1, 0)], len(shape), 1)

    def leaf(self, name: str, shape: tuple[int, ...]) -> Tensor:
        axes = self.graph.axes.get(self.graph.program.canonical(name), {})
        labels = lab.neutral(len(shape))
        for dim, axis in axes.items():
            labels = lab.along(self._kept(axis.channels), len(shape), dim)
        return labels

    def couple(self, left: Tensor, right: Tensor, call: Call) -> None:
        both = (left != lab.NONE) & (right != lab.NONE)
        if not torch.equal(left[both], right[both]):
            raise CutMismatch(f"layer '{call.where}' joins other channels than planned ({call.node.target})")

    def freeze(self, labels: Tensor, reason: str, call: Call) -> None:
        return

    def balance(self, blocks: Tensor, call: Call, *, filled: bool = False) -> None:
        return

    def grid(self, rows: Tensor, call: Call) -> None:
        return

    def pieces(self, pieces: Sequence[Tensor], call: Call) -> None:
        return

    def suspect(self, labels: Tensor, call: Call) -> None:
        return

    def bind(self, name: str, dim: int, channels: Tensor, call: Call, *, groups: int = 1) -> None:
        axis = self.graph.axes.get(self.graph.program.canonical(name), {}).get(dim)
        planned = self._kept(axis.channels) if axis is not None else channels
        if not torch.equal(planned, channels):
            raise CutMismatch(
                f"layer '{call.where}' reads other channels than planned ({len(channels)}, planned {len(planned)}); "
                "a forward on the way to it has channel numbers written into it"
            )

    def born(self, name: str, dim: int, size: int, call: Call) -> Tensor:
        axis = self.graph.axes.get(self.graph.program.canonical(name), {}).get(dim)
        if axis is None:
            raise CutMismatch(f"layer '{call.where}' reads another axis than it did before the cut")
        return self._kept(axis.channels)

    def divides(self, call: Call, channels: Tensor, groups: int) -> None:
        return

    def statistic(self, call: Call, channels: Tensor, dim: int, reason: str) -> None:
        return

    def heads(self, rows: Tensor, call: Call) -> Tensor:
        heads = self.graph.head_of[rows[:, 0]]
        alone = {int(each.heads[0]) for each in self.graph.attention if len(each.heads.unique()) == 1}
        return torch.full_like(heads, lab.NONE) if int(heads[0]) in alone else heads  # as when the graph was read

    def multiplies(self, call: Call, operands: tuple[int, ...]) -> None:
        return

    def scales(self, call: Call, queries: Tensor) -> None:
        return

    def apart(self, weight: str, groups: int, inputs: Tensor) -> bool:
        name = self.graph.program.canonical(weight)  # groups that kept one channel each look like a depthwise layer
        return any(layer.depthwise for layer in self.graph.layers if layer.weight == name)

    def alike(self, call: Call, channels: Tensor) -> None:
        return

    def fresh(self, count: int, reason: str, call: Call) -> Tensor:
        return self._born(count, call.where)

    def mixes(self, call: Call, inputs: Tensor, outputs: Tensor) -> None:
        if len(outputs) != call.out[call.window.channel_dim]:
            raise CutMismatch(f"layer '{call.where}' gives {call.out} where {len(outputs)} channels were planned")

    def ran(self, call: Call, rule: OpRule) -> None:
        self.position += 1
        self.count = 0
        for shape in call.out_shapes:
            if any(size == 0 for size in concrete(shape)):
                raise CutMismatch(f"layer '{call.where}' gives an empty value")

"""What a row of the operator table says, and what it gets to see of the network."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import SymInt, Tensor, fx

from model_lego.errors import BadConfig
from model_lego.graph import labels as lab


class Route(enum.Enum):
    """How an operator carries channels from its input to its output."""

    KEEPS = "keeps"  # each output channel is made of the same input channel
    JOINS = "joins"  # channels at the same position of several inputs go together
    MOVES = "moves"  # values change their place only: view, concat, split, pad
    MIXES = "mixes"  # every output channel is a weighted sum over input channels
    SPREADS = "spreads"  # positions are read or summed elsewhere (nodes of a graph), every channel alike
    NORMALISES = "normalises"  # as "keeps", by statistics over those channels that are kept
    FREEZES = "freezes"  # reads across channels: they can only be kept whole


@dataclass(frozen=True, slots=True)
class Window:
    """What a channel-mixing operator reads where; a linear layer has no spatial dimensions.

    The operator gives the weighted sums themselves, y = W x + b. Its input comes first, then its weight: outputs x
    inputs/groups x taps, or inputs x outputs/groups x taps where it is `transposed`.
    """

    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()  # before and after, a pair each spatial dimension
    dilation: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    @property
    def linear(self) -> bool:
        """Whether it reads vectors, along the last dimension, and not maps of pixels."""
        return not self.kernel

    @property
    def at_a_point(self) -> bool:
        """Whether it reads one pixel for each that it gives, or vectors."""
        moves = {*self.kernel, *self.stride, *(1 + before + after for before, after in self.padding)}
        return moves <= {1} and not any(self.output_padding)

    @property
    def channel_dim(self) -> int:
        """The dimension of what is read and of what is given along which the channels lie."""
        return -1 if self.linear else 1

    @property
    def input_axis(self) -> int:
        """The dimension of the weight that stands for inputs."""
        return 0 if self.transposed else 1

    @property
    def output_axis(self) -> int:
        """The dimension of the weight that stands for outputs."""
        return 1 - self.input_axis

    def by_output(self, weight: Tensor) -> Tensor:
        """A weight of this layout as groups x outputs/groups x inputs/groups x taps."""
        rows, columns = weight.shape[:2]
        blocks = weight.reshape(self.groups, rows // self.groups, columns, -1)
        return blocks.transpose(1, 2) if self.transposed else blocks


#: What an attribute of a module counts: a layer's input channels, its output channels, groups of channels, or the
#: channels of each head.
Holds = Literal["inputs", "outputs", "groups", "each"]


class Tracker(Protocol):
    """What rows report to: the builder of the channel graph, or the check of a network after the cut."""

    def couple(self, left: Tensor, right: Tensor, call: "Call") -> None:
        """State that the channels at equal positions have to be kept or cut together."""

    def freeze(self, labels: Tensor, reason: str, call: "Call") -> None:
        """State that these channels cannot be cut."""

    def balance(self, blocks: Tensor, call: "Call", *, filled: bool = False) -> None:
        """State that these blocks (rows) of channels must keep equal numbers, and all blocks some if `filled`."""

    def grid(self, rows: Tensor, call: "Call") -> None:
        """State that channels are viewed as rows: these keep equal numbers, unless each goes as a whole."""

    def pieces(self, pieces: Sequence[Tensor], call: "Call") -> None:
        """State that channels are split into these, whose numbers are not equal and come from the forward."""

    def suspect(self, labels: Tensor, call: "Call") -> None:
        """State that the forward may have a number of these channels written into it."""

    def bind(self, name: str, dim: int, channels: Tensor, call: "Call", *, groups: int = 1) -> None:
        """State that a dimension of a parameter or buffer stands for these channels."""

    def born(self, name: str, dim: int, size: int, call: "Call") -> Tensor:
        """Give the channels that a dimension of a weight writes."""

    def divides(self, call: "Call", channels: Tensor, groups: int) -> None:
        """State that the call's number of groups follows the cut: its groups of channels are kept or cut whole.

        A norm over channels has a number of these where others have one of groups.
        """

    def statistic(self, call: "Call", channels: Tensor, dim: int, reason: str) -> None:
        """State that the call takes statistics over these channels, one a position of `dim` of what it reads first."""

    def apart(self, weight: str, groups: int, inputs: Tensor) -> bool:
        """Whether each group of a grouped layer is one channel that stays what it is, by what was planned for it."""

    def heads(self, rows: Tensor, call: "Call") -> Tensor:
        """Give the channel of each row (heads x channels): a row is kept with it, as many of each as of the others."""

    def multiplies(self, call: "Call", operands: tuple[int, ...]) -> None:
        """State that products of these operands are summed over channels: a dropped one has to be zero there."""

    def scales(self, call: "Call", queries: Tensor) -> None:
        """State that scores are divided by the root of the number of channels of a query."""

    def alike(self, call: "Call", channels: Tensor) -> None:
        """State that the call mixes positions, by the same weights in each of these channels."""

    def fresh(self, count: int, reason: str, call: "Call") -> Tensor:
        """Give new channels that cannot be cut."""

    def mixes(self, call: "Call", inputs: Tensor, outputs: Tensor) -> None:
        """Record a channel-mixing layer."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One operator call as a row sees it: labels, shapes and literal arguments."""

    node: fx.Node
    where: str  # path of the module whose forward makes the call
    args: tuple[Any, ...]  # literals as they are, SymInts as numbers, values as their labels
    kwargs: dict[str, Any]
    shapes: tuple[Any, ...]  # shape of each tensor argument, None for others
    out_shapes: tuple[tuple[int, ...], ...]
    tracker: Tracker
    rule: "OpRule | None"
    is_output: bool = False

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by position or keyword."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """Shape of a tensor argument."""
        shape: tuple[int, ...] = self.shapes[position]
        return shape

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the (first) result."""
        return self.out_shapes[0]

    def by_batch(self, dim: int) -> bool:
        """Whether a dimension of the (first) result grows with the number of images."""
        return isinstance(self.node.meta["val"].shape[dim], SymInt)

    def parameter(self, position: int) -> str | None:
        """Name of the parameter or buffer that stands at an argument; None where it is computed or absent."""
        if position >= len(self.node.args):
            return None
        node = self.node.args[position]
        return node.meta.get("tensor_name") if isinstance(node, fx.Node) else None

    @property
    def window(self) -> Window:
        """What a mixing operator reads where, as its row says."""
        assert self.rule is not None  # the row of a mixing operator asks
        assert self.rule.window is not None  # and has one
        return self.rule.window(self.args, self.shapes)

    @property
    def computes_weight(self) -> bool:
        """Whether it mixes channels with a weight that the forward makes."""
        mixes = self.rule is not None and self.rule.window is not None
        return mixes and self.parameter(WEIGHT_AT) is None

    @property
    def bias(self) -> str | None:
        """Name of the bias of a mixing operator; None where it is computed or absent."""
        assert self.rule is not None  # as above
        return self.parameter(BIAS_AT) if BIAS_AT in self.rule.weights else None

    def written(self, position: int) -> tuple[bool, ...]:
        """Which numbers of a size argument are written into the graph, rather than taken from the batch size or -1."""
        sizes = self.node.args[position]
        return tuple(isinstance(size, int) and size != -1 for size in sizes)  # type: ignore[union-attr]


#: Where mixing operators have their weight, and their bias if the `weights` of the row name one.
WEIGHT_AT, BIAS_AT = 1, 2
#: Says how labels run through a call: gives the labels of its result, or a tuple for operators with several results.
Carry = Callable[[Call], Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class OpRule:
    """One row: how an operator carries channels.

    `window` reads the geometry of a mixing operator off its arguments and their shapes; `weights` are the positions of
    tensors that the row binds to channels by name; `follows` are the attributes of the module that owns them which
    count channels or groups; `groups_at` is the position of an argument that holds a number of groups, or of the
    channels that are normalised. `normalises`: over fewer channels it gives other numbers, as a softmax does.
    """

    name: str
    route: Route
    carry: Carry
    window: Callable[[Sequence[Any], Sequence[Any]], Window] | None = None
    weights: tuple[int, ...] = ()
    follows: Mapping[str, Holds] = field(default_factory=dict)
    groups_at: int | None = None
    normalises: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        if self.route is Route.MIXES and self.window is None:
            raise BadConfig(f"the row of '{self.name}' mixes channels, but has no window, which says what it reads")


def freeze_all(call: Call, reason: str) -> None:
    """Freeze the channels of every tensor argument."""
    for argument in flat_labels(call.args):
        call.tracker.freeze(argument, reason, call)


def flat_labels(arguments: Sequence[Any]) -> list[Tensor]:
    """The labels among the arguments, lists of tensors included."""
    found: list[Tensor] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            found.append(argument)
        elif isinstance(argument, list | tuple):
            found.extend(item for item in argument if isinstance(item, Tensor))
    return found


def tied_along(call: Call, labels: Tensor, dims: set[int]) -> Tensor:
    """Couple the channels of a grid along some of its dimensions; gives the labels narrowed to size 1 there."""
    first = labels
    for dim in dims:
        first = first.narrow(dim, 0, 1)
    left, right = torch.broadcast_tensors(first, labels)
    call.tracker.couple(left, right, call)
    return first


def without_channels(call: Call) -> Tensor | tuple[Tensor, ...]:
    """Labels of a result that carries no channels that could be cut."""
    parts = tuple(lab.neutral(len(shape)) for shape in call.out_shapes)
    one = len(parts) == 1 and not isinstance(call.node.meta.get("val"), list | tuple)
    return parts[0] if one else parts  # an assertion about a value has no result


def solid(call: Call, labels: Tensor, shape: Sequence[int], dim: int) -> Tensor | None:
    """The channel at each position of `dim`, with new frozen channels where there was none; None if not one axis."""
    channels = lab.vector(labels, shape, dim)
    if channels is None:
        return None
    missing = channels == lab.NONE
    if bool(missing.any()):
        channels = channels.clone()
        channels[missing] = call.tracker.fresh(int(missing.sum()), "made by an operator that is kept whole", call)
    return channels


def as_tuple(value: Any, count: int) -> tuple[int, ...]:
    """A number or a list of one as `count` numbers."""
    if isinstance(value, int):
        return (value,) * count
    values = tuple(value)
    return values * count if len(values) == 1 else values

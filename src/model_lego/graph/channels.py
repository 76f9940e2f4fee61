"""The nouns of the channel graph: layers, axes, coupled channels and their groups.

A *channel* here is a coupled channel: all places in the network that have to be kept or cut together carry the same
channel number. A residual stream of 64 maps is 64 channels however many layers write to it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from model_lego.graph.program import Program
from model_lego.graph.rule import Holds, OpRule, Window


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Which channels one dimension of a parameter or buffer stands for.

    `channels` has `size * groups` entries: in a grouped convolution the same position along the input axis is another
    channel in each group of output channels.
    """

    channels: Tensor
    groups: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One channel-mixing operator: where it stands, its tensors, and the channels that it reads and writes."""

    name: str  # path of the module that owns the weight; "#2" and so on for its further calls
    node: str  # name of the node in the exported graph
    op: str  # what the operator is called, for people to read
    weight: str
    bias: str | None
    inputs: Tensor  # channel of each input position
    outputs: Tensor  # channel of each output position
    window: Window  # what it reads where, and how its weight lies

    @property
    def groups(self) -> int:
        """Into how many groups its channels fall, each of which reads its own inputs only."""
        return self.window.groups

    @property
    def depthwise(self) -> bool:
        """Whether each group reads one channel, which stays what it is."""
        return 1 < self.groups == len(self.inputs)


@dataclass(frozen=True, slots=True, eq=False)
class ChannelGroup:
    """Channels that are written together, by one layer or by all writers of one stream.

    `name` is the first layer that writes them; `frozen` gives the reasons why some of them cannot be cut.
    """

    name: str
    writers: tuple[str, ...]
    channels: Tensor
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Freeze:
    """Why some channels cannot be cut, and the layer where that was found."""

    reason: str
    where: str
    computed: bool = False  # whether the forward makes the weight that writes them


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """Blocks (rows) of channels that must keep equal numbers, because the network views or chunks them as blocks."""

    blocks: Tensor  # blocks x channels in a block
    where: str
    filled: bool = False  # whether all blocks stay: an operator has as many groups


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """Channels whose number may be written into the forward at a line of code (`x.view(-1, 400)`); trace tries it."""

    channels: Tensor
    line: str
    where: str
    node: str


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Channels that a line of code splits into pieces of unequal numbers, by an operator that is called so."""

    pieces: tuple[Tensor, ...]
    line: str
    where: str
    node: str
    operator: str


@dataclass(frozen=True, slots=True, eq=False)
class Divided:
    """An operator whose number of groups follows the cut, as each group of its channels is kept or cut whole.

    A norm over channels has their number where others have that of groups: each is a group of its own.
    `place` is that of the number among the operator's arguments, None where it takes it from the shapes; `attribute`
    (of module `owner`) holds it, if any does.
    """

    node: str
    place: int | None
    channels: Tensor
    groups: int
    owner: str = ""
    attribute: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """An operator that takes statistics over channels: over those that are kept, in a cut and in the masked source.

    They lie along `dim` of what it reads first. `why` says it where this is not allowed: of logits, of several parts.
    """

    node: str
    dim: int
    channels: Tensor
    why: Freeze


@dataclass(frozen=True, slots=True, eq=False)
class Follow:
    """An attribute of a module that holds a number of channels or groups and has to follow the cut.

    `divided`: the number of groups shrinks with the channels, else the groups themselves get narrower. Where it holds
    how many channels `each` head has, `inputs` are those of all heads, and `outputs` the heads.
    """

    owner: str
    attribute: str
    holds: Holds
    inputs: Tensor
    outputs: Tensor
    groups: int = 1
    divided: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Rows of channels (of queries and keys, or of values), each of which belongs to a head of attention.

    A head is a channel, too: where it is cut, its rows are; where it is kept, each row keeps as many as the others.
    """

    rows: Tensor  # rows x channels in each
    heads: Tensor  # the head of each row
    where: str

    @property
    def width(self) -> int:
        """How many channels a row has."""
        return self.rows.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """An operator that sums products of two values over channels; `operands`: their labels, by place."""

    node: str
    where: str
    operands: Mapping[int, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Positions of a tensor that make queries, of which an operator takes the root of their number as the scale.

    They are multiplied by the root of the share of the channels of each row (a head) that is kept, so that the scores
    stay what they are with the scale of the source.
    """

    tensor: str
    dim: int
    positions: Tensor  # bool, along `dim`
    rows: Tensor  # heads x channels

    def factor(self, keep: Tensor) -> float:
        """By what they are multiplied where these channels are kept, one bool a channel."""
        return math.sqrt(int(keep[self.rows].sum(1).max()) / self.rows.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Unclear:
    """An attribute that may hold the number of some channels, though it is not clear of which; it stays as it is."""

    owner: str
    attribute: str
    channels: Tensor  # of all layers inside its module that are as wide


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """How channels run through a network, read off its exported graph."""

    program: Program
    rules: Mapping[object, OpRule]  # the table that it was read by; whatever uses the graph asks the same one
    width: int  # number of coupled channels
    layers: tuple[Layer, ...]
    groups: tuple[ChannelGroup, ...]
    axes: Mapping[str, Mapping[int, Axis]]  # tensor name (the first, where tied) -> dimension -> axis
    frozen: Tensor  # bool, one a channel
    freezes: tuple[Freeze, ...]
    balances: tuple[Balance, ...]
    suspects: tuple[Suspect, ...]
    follows: tuple[Follow, ...]
    divided: tuple[Divided, ...]
    statistics: tuple[Statistic, ...]
    head: Tensor  # channel of each logit
    births: Mapping[tuple[int, int], Tensor]  # channels made by node (position, count), for the check after a cut
    unused: tuple[str, ...]  # tensors that no operator reads in eval mode
    attention: tuple[Heads, ...] = ()
    products: tuple[Product, ...] = ()
    folds: tuple[Fold, ...] = ()
    views: Mapping[str, Tensor] = field(default_factory=dict)  # of suspects: the channel at each position of a view
    alike: Mapping[str, Tensor] = field(default_factory=dict)  # nodes that mix positions: the channels, each for itself
    named: tuple[Follow, ...] = ()  # attributes that tell how wide a network or a block is
    unclear: tuple[Unclear, ...] = ()
    spare: tuple[str, ...] = ()  # the largest modules that eval mode does without: auxiliary heads
    notes: tuple[str, ...] = ()

    @cached_property
    def group_of(self) -> Tensor:
        """Group number of each channel; -1 for channels in no group."""
        owner = torch.full((self.width,), -1, dtype=torch.int64)
        for number, group in enumerate(self.groups):
            owner[group.channels] = number
        return owner

    @cached_property
    def is_head(self) -> Tensor:
        """Whether a channel is one of the logits, one bool a channel."""
        head = torch.zeros(self.width, dtype=torch.bool)
        head[self.head] = True
        return head

    @cached_property
    def cuttable(self) -> Tensor:
        """Whether a channel may be cut: neither frozen nor one of the logits, one bool a channel."""
        return ~self.frozen & ~self.is_head

    @cached_property
    def head_of(self) -> Tensor:
        """The head of attention in which each channel lies, a channel as well; -1 for channels in none."""
        found = torch.full((self.width,), -1, dtype=torch.int64)
        for each in self.attention:
            found[each.rows] = each.heads[:, None]
        return found

    @cached_property
    def is_attention_head(self) -> Tensor:
        """Whether a channel stands for a head of attention, one bool a channel."""
        heads = torch.zeros(self.width, dtype=torch.bool)
        heads[self.head_of[self.head_of >= 0]] = True
        return heads

    @property
    def normalises(self) -> bool:
        """Whether the network ends in a softmax: over other classes it gives other numbers."""
        rule = self.rules.get(self.program.output.target)
        return rule is not None and rule.normalises

    def layer(self, name: str) -> Layer:
        """Find a layer by the path of its module; raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def __str__(self) -> str:
        cuttable = int(self.cuttable.sum())
        lines = [
            f"{len(self.layers)} layers, {len(self.groups)} groups, {self.width} channels, {cuttable} of them cuttable"
        ]
        lines += [f"  frozen: {freeze.reason} (layer '{freeze.where}')" for freeze in self.freezes]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

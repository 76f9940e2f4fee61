"""What is timed together: a layer with the operators behind it that runtimes melt into it; and the rest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, fx

from model_lego.graph.channels import ChannelGraph, Layer
from model_lego.graph.propagation import concrete
from model_lego.graph.rule import WEIGHT_AT, OpRule, Route

#: Routes of operators that work: the others only say where values are.
WORKING = (Route.KEEPS, Route.JOINS, Route.SPREADS, Route.FREEZES)


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A layer and what follows on its output alone, map by map: norms, activations, pools.

    Two layers of one `kind` take the same time at the same widths.
    """

    layer: Layer
    nodes: tuple[fx.Node, ...]
    kind: str
    first: bool  # whether it reads the images
    size: tuple[int, ...]  # of what it reads, without batch and channels


def chains(graph: ChannelGraph) -> list[Chain]:
    """A chain for each layer of a network, in the order in which they run."""
    nodes = {node.name: node for node in graph.program.nodes}
    return [_chain(graph, layer, nodes[layer.node]) for layer in graph.layers]


def _chain(graph: ChannelGraph, layer: Layer, node: fx.Node) -> Chain:
    found = (node, *_followers(node, graph.rules))
    source = node.args[0]
    assert isinstance(source, fx.Node)
    shape = list(concrete(source.meta["val"].shape))[1:]
    del shape[layer.window.channel_dim - (1 if layer.window.channel_dim > 0 else 0)]
    first = source.name == graph.program.image
    words = [_words(each, graph.rules[each.target], layer) for each in found]
    where = "the images" if first else " x ".join(map(str, shape)) or "a vector"
    bias = "" if layer.bias is None else " with bias"
    kind = f"{words[0]}{bias}{' depthwise' if layer.depthwise else ''} on {where}"
    if first:
        kind += f", {' x '.join(map(str, shape))}"
    return Chain(layer, found, ", ".join([kind, *words[1:]]), first, tuple(shape))


def _followers(node: fx.Node, rules: Mapping[object, OpRule]) -> Iterator[fx.Node]:
    """What reads a value alone and keeps its dimensions: each position of a channel stays with its channel."""
    while len(node.users) == 1:
        (user,) = node.users
        rule = rules.get(user.target)
        if rule is None or rule.route is not Route.KEEPS or not _alone(user, node):
            return
        yield user
        node = user


def _alone(user: fx.Node, node: fx.Node) -> bool:
    """Whether an operator has one value, that of the node, besides tensors of the network, and gives one like it."""
    others = [arg for arg in user.all_input_nodes if arg is not node]
    given, had = user.meta.get("val"), node.meta["val"]
    whole = isinstance(given, Tensor) and given.dim() == had.dim()
    return whole and all(arg.op == "placeholder" and "tensor_name" in arg.meta for arg in others)


def _words(node: fx.Node, rule: OpRule, layer: Layer) -> str:
    """An operator with what decides its time besides the widths: kernels, strides, paddings, sizes, groups."""
    sides = [str(list(arg)) for arg in node.args if isinstance(arg, list | tuple) and _plain(arg)]
    if node.name == layer.node:
        shape = concrete(node.args[WEIGHT_AT].meta["val"].shape)  # type: ignore[union-attr]
        kernel = ["x".join(map(str, shape[2:]))] if len(shape) > 2 else []
        groups = [f"{layer.groups} groups"] if layer.groups > 1 and not layer.depthwise else []
        sides = [*kernel, *sides, *groups]
    name = rule.name.rstrip("_")  # in place or not
    return f"{name}({', '.join(sides)})" if sides else name


def _plain(sides: Sequence[Any]) -> bool:
    return all(isinstance(side, int) for side in sides)


def rest(graph: ChannelGraph, found: list[Chain]) -> dict[str, int]:
    """Numbers that operators outside of chains write for one image, by the node of the layer whose maps they are."""
    inside = {node.name: chain.layer.node for chain in found for node in chain.nodes}
    owner, written = dict(inside), dict[str, int]()
    for node in graph.program.nodes:
        rule = graph.rules.get(node.target)
        if node.op != "call_function" or node.name in inside or rule is None:
            continue
        above = [owner[each.name] for each in node.all_input_nodes if each.name in owner]
        value = node.meta.get("val")
        if not above or not isinstance(value, Tensor):
            continue
        owner[node.name] = above[0]
        if rule.route in WORKING:
            count = prod(concrete(value.shape)) // (graph.program.batch if node.meta.get("by_batch") else 1)
            written[above[0]] = written.get(above[0], 0) + count
    return written

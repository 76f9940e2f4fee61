"""Computed weights made plain: a layer that makes its weight anew in each forward pass becomes an ordinary layer.

Weight standardisation, weight_norm and spectral_norm look at all inputs of a filter, so that a cut would change what
stays. In eval mode such a weight is a constant; a plain layer that holds it gives the same and can be cut. Torch's
attention, whose forward takes the widths of heads from the stream, is put in plain layers, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.cutting.plain_attention import PlainAttention, arguments_of, with_weights_of
from model_lego.graph import RULES, ChannelGraph
from model_lego.graph.modules import hookless_copy
from model_lego.graph.nodes import module_path
from model_lego.graph.program import Program, export_program
from model_lego.graph.propagation import concrete, weights_only
from model_lego.graph.rule import OpRule, Route
from model_lego.graph.same_answer import refuse_other_network
from model_lego.parts.wrappers import unwrapped

#: Plain layers by the name of the operator that they run.
LAYERS: Mapping[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "linear": nn.Linear,
    "attention": PlainAttention,
}
#: The attribute by which such a layer is told: the name of its operator.
MARK = "made_plain"


@torch.no_grad()
def canonize(model: nn.Module, example: Tensor, *, rules: Mapping[object, OpRule] = RULES) -> nn.Module:
    """Make computed weights and torch's attention plain, so that they can be cut; gives the same logits in eval mode.

    `example` is one image or a batch (B x C x H x W). A copy is changed, the model is left as it is; it is given back
    itself where there is nothing to change. Layers that do more than compute a weight and use it stay. Raises
    TraceFailed, ShapeMismatch, RefusedError.
    """
    model = unwrapped(model)
    program = export_program(model, example)
    computed = dict(_computed(program, rules))
    if not computed and not _has_attention(model):
        return model
    values: dict[str, tuple[Any, ...]] = {}

    def listen(node: fx.Node, args: tuple[Any, ...]) -> tuple[Any, ...]:
        values[node.name] = args
        return args

    if computed:
        program.run(hookless_copy(model), example, listen)
    twin = hookless_copy(model)
    for path, node in computed.items():
        old = twin.get_submodule(path)
        layer = _layer(values[node.name], rules[node.target])
        layer.train(old.training)
        _put(twin, path, layer)
    _make_attention_plain(twin)
    refuse_other_network(twin, model, example)
    return twin


def can_be_plain(model: nn.Module, graph: ChannelGraph) -> bool:
    """Whether a network has layers that `canonize` makes plain; not all that compute their weight are (CondConv)."""
    return any(_computed(graph.program, graph.rules)) or _has_attention(model)


def _has_attention(model: nn.Module) -> bool:
    """Whether attention of torch's is among its modules that plain layers can do as well."""
    return any(_arguments(module) is not None for module in model.modules())


def _arguments(module: nn.Module) -> dict[str, Any] | None:
    return arguments_of(module) if type(module) is nn.MultiheadAttention else None  # what inherits from it may do more


def _make_attention_plain(twin: nn.Module) -> None:
    made: dict[nn.Module, nn.Module] = {}  # one that stands in several places stays one
    for path, module in list(twin.named_modules(remove_duplicate=False)):
        arguments = _arguments(module)
        if path and arguments is not None:
            if module not in made:
                like = module.out_proj.weight
                plain = PlainLayer("attention", arguments).build().to(like.device, like.dtype)
                made[module] = with_weights_of(module, plain)
            _put(twin, path, made[module])


def _put(twin: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(twin.get_submodule(parent), name, layer)


def _computed(program: Program, rules: Mapping[object, OpRule]) -> Iterator[tuple[str, fx.Node]]:
    """Modules, but for the network itself, that compute a weight and use it, and do nothing else."""
    constant = weights_only(program, rules)
    inside: dict[str, list[fx.Node]] = {}
    for node in program.nodes:
        if node.op == "call_function" and node not in constant and isinstance(node.meta.get("val"), Tensor):
            inside.setdefault(module_path(node), []).append(node)
    for path, nodes in inside.items():
        plain = all(_uses(node, constant, rules) for node in nodes)
        deeper = any(other.startswith(f"{path}.") for other in inside)
        if path and plain and not deeper and len({node.args[1] for node in nodes}) == 1:
            yield path, nodes[0]


def _uses(node: fx.Node, constant: set[fx.Node], rules: Mapping[object, OpRule]) -> bool:
    """Whether a node is a layer of a known kind whose weight is computed."""
    rule = rules.get(node.target)
    mixes = rule is not None and rule.route is Route.MIXES and rule.name.partition(".")[0] in LAYERS
    return mixes and isinstance(node.args[1], fx.Node) and node.args[1].op != "placeholder" and node.args[1] in constant


def _layer(args: tuple[Any, ...], rule: OpRule) -> nn.Module:
    """An ordinary layer with the weight and bias that a node was called with."""
    weight, bias = args[1], args[2] if len(args) > 2 else None
    assert rule.window is not None  # mixing operators have one
    window = rule.window(list(args), [concrete(arg.shape) if isinstance(arg, Tensor) else None for arg in args])
    given: dict[str, Any] = {"bias": bias is not None}
    if window.kernel:
        given |= {"in_channels": weight.shape[1] * window.groups, "out_channels": weight.shape[0]}
        given |= {"kernel_size": window.kernel, "stride": window.stride, "dilation": window.dilation}
        same = isinstance(args[4] if len(args) > 4 else 0, str)
        given |= {"groups": window.groups, "padding": args[4] if same else tuple(first for first, _ in window.padding)}
    else:
        given |= {"in_features": weight.shape[1], "out_features": weight.shape[0]}
    layer = PlainLayer(rule.name.partition(".")[0], given).build()
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


@dataclass(frozen=True, slots=True)
class PlainLayer:
    """How to build such a layer again: the operator's name and the arguments of the uncut layer, JSON values."""

    kind: str
    arguments: Mapping[str, Any]

    def build(self) -> nn.Module:
        """Build the layer, its weights not yet set; raises KeyError, TypeError."""
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in self.arguments.items()}
        layer = LAYERS[self.kind](**given)
        setattr(layer, MARK, self)
        return layer


def plain_layers(model: nn.Module) -> dict[str, dict[str, Any]]:
    """The layers of a network that were made plain: path -> how to build them again."""
    listing = {}
    for path, module in model.named_modules():
        layer = vars(module).get(MARK)
        if isinstance(layer, PlainLayer):
            listed = {key: list(value) if isinstance(value, tuple) else value for key, value in layer.arguments.items()}
            listing[path] = {"kind": layer.kind, "arguments": listed}
    return listing

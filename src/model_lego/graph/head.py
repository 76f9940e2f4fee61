"""The logits: which channel each of them is, or why they cannot be cut to some classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from model_lego.errors import RefusedError
from model_lego.graph import labels as lab
from model_lego.graph.channels import Freeze
from model_lego.graph.nodes import place_of
from model_lego.graph.program import Program
from model_lego.graph.propagation import concrete

PLAIN_WEIGHT = (
    "canonize(model, example) makes it plain where a layer computes it and does nothing else; elsewhere compute it "
    "once and keep it in an nn.Linear (of a cosine head: F.normalize of the weight, behind F.normalize of the features)"
)


def head_channels(
    program: Program,
    values: Mapping[fx.Node, Any],
    channel: Tensor,
    frozen: Sequence[tuple[Tensor, Freeze]],
    lone: bool,
) -> Tensor:
    """The channel of each logit, by the labels of the program's values; raises RefusedError where there is none."""
    shape = concrete(program.output.meta["val"].shape)
    if len(shape) != 2:
        raise RefusedError(
            f"the network gives a value of shape {('batch', *shape[1:])}; it has to give batch x classes logits"
        )
    if shape[1] == 1 and not lone:
        raise RefusedError(
            "the network has a single output (a sigmoid head); give it one logit a class, "
            "for two classes for instance cat([-x, x], dim=1) in a layer of its own"
        )
    logits = values.get(program.output)
    channels = lab.vector(logits, shape, 1) if logits is not None else None
    if channels is None or bool((channels == lab.NONE).any()):
        node = _origin(program.output, values)
        raise RefusedError(
            f"the logits come out of an operator that mixes classes ({node.target}, {place_of(node)}); "
            "take them before it, or make them with an nn.Linear"
        )
    head = channel[channels]
    if len(head.unique()) < len(head):
        raise RefusedError("two logits are tied to the same channel: classes cannot be told apart")
    for held, freeze in frozen:
        if bool(torch.isin(held, head).any()):
            raise RefusedError(f"the logits cannot be cut to the chosen classes: {_because(freeze)}")
    return head


def _because(freeze: Freeze) -> str:
    place = f"layer '{freeze.where}'" if freeze.where else "the forward of the network"
    if freeze.computed:
        return f"{place} computes their weight anew each time; {PLAIN_WEIGHT}"
    return f"an operator reads across them: {freeze.reason}, {place}; take the logits before it"


def _origin(node: fx.Node, values: Mapping[fx.Node, Any]) -> fx.Node:
    """The operator in which the channels of a value were lost."""
    for given in node.all_input_nodes:
        labels = values.get(given)
        if given.op == "call_function" and isinstance(labels, Tensor) and bool((labels == lab.NONE).all()):
            return _origin(given, values)
    return node

"""A network that draws random numbers in eval mode gives other logits each time: no cut of it can be checked."""

from typing import Any

import torch
from torch import fx

from model_lego.errors import RefusedError
from model_lego.graph.nodes import place_of, writes
from model_lego.graph.program import Program

#: Arguments of random operators, and the value at which these draw nothing.
SWITCHES = {"train": False, "training": False, "p": 0, "dropout_p": 0}


def refuse_random(program: Program) -> None:
    """Raise RefusedError where a random operator has a say in the logits."""
    live = set(program.outputs)
    for node in reversed(program.nodes):
        if node in live or writes(node):
            live.update(node.all_input_nodes)
            if _draws(node):
                name = node.target._schema.name.partition("::")[2]  # type: ignore[union-attr]
                raise RefusedError(
                    f"{place_of(node)} draws random numbers in eval mode ({name}), "
                    "so that an image gets other logits each time; let it draw in training only: "
                    "nn.Dropout instead of F.dropout, or training=self.training, and 'if self.training' around noise"
                )


def _draws(node: fx.Node) -> bool:
    """Whether an operator is a random one that is not switched off."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    schema = node.target._schema  # type: ignore[union-attr]
    given: dict[str, Any] = {argument.name: argument.default_value for argument in schema.arguments}
    given |= dict(zip(given, node.args, strict=False)) | dict(node.kwargs)
    return not any(name in given and given[name] == off for name, off in SWITCHES.items())

"""Where a network holds the number of groups of an operator whose groups can go: in which attribute, or in its code.

So too the shape of a vector, `(64, 1, 1)`, as which a forward views one, and the sizes into which it splits one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from model_lego.graph import labels as lab
from model_lego.graph.channels import Divided, Follow, Freeze, Split, Suspect
from model_lego.graph.collector import Builder
from model_lego.graph.held_numbers import number_in, one_of
from model_lego.graph.nodes import module_path, source_line
from model_lego.graph.ops.movement import SPLIT
from model_lego.graph.propagation import concrete


def find_group_counts(builder: Builder, model: nn.Module) -> None:
    """Let attributes follow that hold a number of groups under a name of their own; a number in the code is suspect.

    Attributes are known by their value and by the module that makes the call; `trace` tries them.
    """
    nodes = {node.name: node for node in builder.program.nodes}
    for each in builder.divided:
        where = module_path(nodes[each.node])
        if each.place is None or _held(each, where, builder, model):
            continue
        builder.suspects.append(Suspect(each.channels, source_line(nodes[each.node]), where, each.node))
        known = {(follow.owner, follow.attribute) for follow in builder.follows}
        for attribute, value in vars(model.get_submodule(where)).items():
            if type(value) is int and value == each.groups and (where, attribute) not in known:
                channels = each.channels
                builder.follows.append(
                    Follow(where, attribute, "groups", channels, channels, each.groups, divided=True)
                )


def _held(each: Divided, where: str, builder: Builder, model: nn.Module) -> bool:
    """Whether the module that makes the call has the number under a name that follows anyway."""
    owner = model.get_submodule(where)
    follows = [follow for follow in builder.follows if follow.owner == where == each.owner]
    return any(number_in(getattr(owner, follow.attribute, None)) == each.groups for follow in follows)


def find_shapes(builder: Builder, model: nn.Module, values: Mapping[fx.Node, Any]) -> None:
    """Let shapes follow that the module with a suspect number holds: of a vector, or of a view; `trace` tries them."""
    builder.follows += _held_shapes(builder, model, values)
    for suspect in builder.suspects:
        count = len(suspect.channels)
        for attribute, value in vars(model.get_submodule(suspect.where)).items():
            known = any((each.owner, each.attribute) == (suspect.where, attribute) for each in builder.follows)
            if type(value) is tuple and number_in(value) == count and not known:
                builder.follows.append(Follow(suspect.where, attribute, "outputs", suspect.channels, suspect.channels))


def _held_shapes(builder: Builder, model: nn.Module, values: Mapping[fx.Node, Any]) -> Iterator[Follow]:
    """Of the views of suspects, the sizes that channels take in a tuple with all sizes (`bias_shape`).

    A module inside may hold it, too: one whose method makes the view is not noted as the place where it is made.
    """
    nodes = {node.name: node for node in builder.program.nodes}
    for suspect in builder.suspects:
        node = nodes[suspect.node]
        labels = values[node]
        if not isinstance(labels, Tensor):
            continue
        shape, axes, channels = tuple(concrete(node.meta["val"].shape)), lab.carried(labels), labels.reshape(-1)
        if len(axes) == 1 and len(shape) > 1:
            for path, module in model.get_submodule(suspect.where).named_modules(prefix=suspect.where):
                for attribute, value in vars(module).items():
                    if type(value) is tuple and [*map(type, value)] == [int] * len(shape) and value == shape:
                        yield Follow(path, one_of(attribute, axes[0]), "outputs", channels, channels)


def find_splits(builder: Builder, model: nn.Module) -> None:
    """Let the sizes of a split follow that its module holds; where it does not hold all, the channels are kept whole.

    They are known by their values, in a tuple or list, or each in an attribute where no two are equal; `trace` tries
    them.
    """
    for split in builder.splits:
        channels, held = torch.cat(split.pieces), dict(_held_sizes(split, vars(model.get_submodule(split.where))))
        if set(held.values()) != set(range(len(split.pieces))):
            builder.frozen.append((channels, Freeze(f"{SPLIT} ({split.operator})", split.where)))
            continue
        builder.suspects.append(Suspect(channels, split.line, split.where, split.node))
        for name, place in held.items():
            builder.follows.append(Follow(split.where, name, "outputs", split.pieces[place], split.pieces[place]))


def _held_sizes(split: Split, attributes: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Names under which a module holds the size of a piece, and which piece that is."""
    sizes = [len(piece) for piece in split.pieces]
    together = [name for name, value in attributes.items() if type(value) in (tuple, list) and list(value) == sizes]
    for name in together:
        yield from ((one_of(name, place), place) for place in range(len(sizes)))
    if together or len(set(sizes)) < len(sizes):
        return  # another number of the module may be as large as a piece by chance
    for name, value in attributes.items():
        if type(value) is int and value in sizes:
            yield name, sizes.index(value)

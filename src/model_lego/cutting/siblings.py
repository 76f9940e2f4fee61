"""Networks of one class and one set of settings that differ in width: one export tells the operators of all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.graph import RULES, ChannelGraph, read_graph
from model_lego.graph.held_numbers import attribute_of, number_in
from model_lego.graph.modules import plain_run, tied_names
from model_lego.graph.program import Program, export_program
from model_lego.graph.rule import OpRule

#: Settings of these types are compared by their values, what else there is by identity.
PLAIN = (int, float, complex, str, bytes, set, frozenset, torch.dtype, torch.device)
#: A network whose graph has been read already.
Known = tuple[nn.Module, ChannelGraph]


def read_graphs(
    modules: Sequence[nn.Module], examples: Sequence[Tensor], *, rules: Mapping[object, OpRule] = RULES
) -> list[ChannelGraph]:
    """The channel graph of each network, a single logit allowed; siblings of the first are not exported."""
    first = read_like(modules[0], examples[0], None, rules=rules)
    known = (modules[0], first)
    others = zip(modules[1:], examples[1:], strict=True)
    return [first, *(read_like(module, example, known, rules=rules) for module, example in others)]


def read_like(
    module: nn.Module, example: Tensor, known: Known | None, *, rules: Mapping[object, OpRule] = RULES
) -> ChannelGraph:
    """The channel graph of a network, a single logit allowed; a sibling's operators are taken over from its graph."""
    program = None
    if known is not None and is_sibling(module, *known):
        groups = _groups(known[1], module)
        program = None if groups is None else program_like(known[1], module, example, groups)
    return read_graph(module, example, rules=rules, program=program, lone=True)


@torch.no_grad()
def program_like(
    graph: ChannelGraph, module: nn.Module, example: Tensor, groups: Mapping[str, tuple[int, int]]
) -> Program:
    """The program of a network that runs the operators of another one, which has this graph, on other widths.

    `groups` as `Program.narrowed` takes it. Exported where a number of channels may be written into the forward, and
    where these operators do not give what the network gives.
    """
    if not graph.suspects and tuple(example.shape[1:]) == graph.program.image_shape:
        images = example[:1].repeat(2, *[1] * (example.dim() - 1))
        try:
            program, logits = graph.program.narrowed(module, images, groups)
            if torch.equal(logits, plain_run(module, images)):
                return program
        except Exception:  # a width that the operators, or the user's own forward, do not take: the export says where
            pass
    return export_program(module, example)


def is_sibling(module: nn.Module, other: nn.Module, graph: ChannelGraph) -> bool:
    """Whether two networks run the same code with the same settings, but for numbers of channels; `other` has `graph`.

    Settings that cannot be compared count as different.
    """
    mine, theirs = dict(module.named_modules()), dict(other.named_modules())
    if mine.keys() != theirs.keys() or tied_names(module) != tied_names(other):
        return False
    left_out: dict[str, set[str]] = {path: {"_modules"} for path in mine}  # these have paths of their own
    first = {module: path for path, module in theirs.items()}  # one that is used in several places has one here
    for follow in (*graph.follows, *graph.named):
        left_out[first[other.get_submodule(follow.owner)]].add(attribute_of(follow.attribute))

    def settings(module_here: nn.Module, path: str) -> dict[str, Any]:
        return {key: value for key, value in vars(module_here).items() if key not in left_out[path]}

    return all(
        type(mine[path]) is type(theirs[path]) and _same(settings(mine[path], path), settings(theirs[path], path))
        for path in mine
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are equal, tensors but for their numbers and sizes; not where one cannot tell."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return bool(one.dtype == other.dtype and one.dim() == other.dim())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one is other or (isinstance(one, PLAIN) and one == other))


def _groups(graph: ChannelGraph, module: nn.Module) -> dict[str, tuple[int, int]] | None:
    """The numbers of groups that a sibling has where they follow a cut; None where no attribute holds one."""
    numbers = {}
    for each in graph.divided:
        if each.place is None:  # the weight alone says how many
            continue
        held = getattr(module.get_submodule(each.owner), each.attribute, None) if each.attribute else None
        number = number_in(held)
        if number is None:
            return None
        numbers[each.node] = (each.place, number)
    return numbers

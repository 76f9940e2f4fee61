"""Modules that a network does without in eval mode, such as auxiliary heads: found by doing without them.

That nobody reads a module's tensors does not tell: it may give back what it takes, or hold a number that is asked for.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model_lego.graph.modules import hookless_copy, plain_run


class Absent(nn.Module):
    """Stands where an auxiliary head was: takes anything, gives None."""

    def forward(self, *_: Any) -> None:
        """Give nothing."""


def spare_modules(model: nn.Module, unused: Collection[str], images: Tensor) -> tuple[str, ...]:
    """Paths of the largest modules without which a network gives the same; `unused` are tensors that nobody reads."""
    pending = list(_within(model, "", frozenset(unused)))
    if not pending:
        return ()
    twin, expected = hookless_copy(model, share=model.parameters()), plain_run(model, images)
    if _unchanged(twin, pending, images, expected):
        return tuple(pending)
    found: list[str] = []
    while pending:
        path = pending.pop(0)
        if _unchanged(twin, [path], images, expected):
            found.append(path)
        else:
            pending[:0] = _within(model, path, frozenset(unused))
    return tuple(found)


def put_absent(model: nn.Module, path: str) -> None:
    """Replace a module by one that gives nothing."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, Absent())


def _within(model: nn.Module, root: str, unused: frozenset[str]) -> Iterator[str]:
    """The largest modules below a path that have parameters, none of which is read."""
    inside: tuple[str, ...] = ()
    for path, module in model.named_modules():
        names = {f"{path}.{name}" for name, _ in module.named_parameters()}
        below = path.startswith(f"{root}.") if root else bool(path)
        if below and names and names <= unused and not path.startswith(inside):
            inside += (f"{path}.",)
            yield path


def _unchanged(twin: nn.Module, paths: Sequence[str], images: Tensor, expected: Tensor) -> bool:
    """Take modules out and see whether the network gives the same; they come back where it does not."""
    before = {path: twin.get_submodule(path) for path in paths}
    for path in paths:
        put_absent(twin, path)
    try:
        given = plain_run(twin, images)
        same = given.shape == expected.shape and torch.allclose(given, expected, equal_nan=True)
    except Exception:  # whatever a forward does with None
        same = False
    for path, module in before.items() if not same else ():
        parent, _, name = path.rpartition(".")
        setattr(twin.get_submodule(parent), name, module)
    return same

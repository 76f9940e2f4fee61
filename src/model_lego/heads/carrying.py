"""A head carried over to other parts without calibration images: old rows where a class stays, else plain logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_lego.errors import ClassClash
from model_lego.parts.assembly import NONE_OF_THESE, Head
from model_lego.parts.join_record import Clash


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A part of the coming assembly: its classes, and which inputs of the old head are its own (None: it is new)."""

    classes: tuple[str, ...]
    columns: Tensor | None


def carry(
    head: Head,
    classes: Sequence[str],
    parts: Sequence[Carried],
    *,
    on_clash: Clash,
    outsiders: bool,
    reads: Sequence[Sequence[str]] = (),
) -> tuple[tuple[str, ...], Head]:
    """The classes of the coming assembly, and its head, which `reads` these layers of its parts.

    `classes` are those of the old head. A class that an old part keeps is judged by the old row, less the inputs that
    are gone; one of a new part by its own logit; `on_clash` says which counts where there are both. A constant logit
    ("none of these") stays with `outsiders`. Raises ClassClash.
    """
    weight = torch.diag(head.weight) if head.weight.dim() == 1 else head.weight
    names = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    ends = (NONE_OF_THESE,) if outsiders else ()
    if ends and NONE_OF_THESE in names:
        raise ClassClash(f"a part has a class '{NONE_OF_THESE}' of its own; remove the other one first, or that class")
    old = torch.cat([weight.new_zeros(weight.shape[0], 0), *(_block(weight, part) for part in parts)], 1)
    rows, shifts = [], []
    for name in (*names, *ends):
        sources = _sources(name, classes, parts, old, head.shift)
        if len(sources) > 1 and on_clash == "error":
            raise ClassClash(
                f"class '{name}' is there already; choose on_clash='prefer' or 'average', or remove it first"
            )
        sources = sources[:1] if on_clash == "prefer" else sources
        rows.append(torch.stack([row for row, _ in sources]).mean(0))
        shifts.append(torch.stack([shift for _, shift in sources]).mean())
    matrix = torch.stack(rows)
    if head.weight.dim() == 1 and torch.equal(matrix, torch.diag(matrix.diagonal())):
        matrix = matrix.diagonal().contiguous()  # still a factor a logit
    return names + ends, Head(head.kind, matrix, torch.stack(shifts), reads=reads)


def _block(weight: Tensor, part: Carried) -> Tensor:
    """What the old rows read of a part: their own columns of it, nothing of a new one."""
    if part.columns is None:
        return weight.new_zeros(weight.shape[0], len(part.classes))
    return weight[:, part.columns]


def _sources(
    name: str, classes: Sequence[str], parts: Sequence[Carried], old: Tensor, shift: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """The rows (with their shifts) that speak for a class, in the order of the parts; the old row once."""
    rows, start, old_row_given = [], 0, False
    for part in parts:
        width = len(part.classes) if part.columns is None else len(part.columns)
        if name in part.classes and part.columns is None:
            row = old.new_zeros(old.shape[1])
            row[start + part.classes.index(name)] = 1
            rows.append((row, shift.new_zeros(())))
        elif name in part.classes and not old_row_given:
            rows.append((old[classes.index(name)], shift[classes.index(name)]))
            old_row_given = True
        start += width
    if not rows:  # the constant logit, which no part owns
        rows.append((old[classes.index(name)], shift[classes.index(name)]))
    return rows

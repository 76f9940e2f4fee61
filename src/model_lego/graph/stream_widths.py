"""A forward that views what it made by the width of what it takes, as attention does: `x.reshape(B, N, C)`.

`C` was read off the stream. After a cut the view fits where the channels that it holds, those of all heads, are as many
as the stream's: blocks that keep equal numbers.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from model_lego.graph import labels as lab
from model_lego.graph.channels import Balance, Suspect
from model_lego.graph.named_widths import Widths


def matched_widths(suspects: Iterable[Suspect], made: Mapping[str, Tensor], widths: Widths) -> list[Balance]:
    """The channels of suspects with those, as many, of a value that their module takes.

    `made` gives the channel at each position of what a view makes: where heads go whole, each stands there often.
    """
    found = []
    for suspect in suspects:
        sides = [suspect.channels.unique(), made.get(suspect.node, suspect.channels).reshape(-1)]
        for taken in widths.taken(suspect.where):
            side = next((side for side in sides if len(side) == len(taken)), None)
            if side is not None and bool((side != lab.NONE).all()):
                found.append(Balance(torch.stack([taken, side]), suspect.where))
    return found


def joined(balances: Sequence[Balance]) -> tuple[Balance, ...]:
    """Balances with those that have a block in common as one: all their blocks are equal."""
    found: list[Balance] = []
    for balance in balances:
        marks = {*map(lab.set_of, balance.blocks)}
        same = [other for other in found if not marks.isdisjoint(map(lab.set_of, other.blocks))]
        found = [other for other in found if not any(other is each for each in same)]
        if same:
            blocks = {lab.set_of(block): block for each in (*same, balance) for block in each.blocks}
            found.append(Balance(torch.stack(list(blocks.values())), same[0].where))
        else:
            found.append(balance)
    return tuple(found)

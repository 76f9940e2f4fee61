"""A forward that views what it made by the width of what it takes, as attention does: `x.reshape(B, N, C)`.

`C` was read off the stream. After a cut the view fits where the channels that it holds, those of all heads, are as many
as the stream's: blocks that keep equal numbers.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from model_lego.graph.channels import Balance, Suspect
from model_lego.graph.named_widths import Widths


def matched_widths(suspects: Iterable[Suspect], widths: Widths) -> list[Balance]:
    """The channels of suspects with those, as many, of a value that their module takes."""
    return [
        Balance(torch.stack([taken, channels]), suspect.where)
        for suspect in suspects
        if (channels := suspect.channels.unique()) is not None
        for taken in widths.taken(suspect.where)
        if len(taken) == len(channels)
    ]


def joined(balances: Sequence[Balance]) -> tuple[Balance, ...]:
    """Balances with those that have a block in common as one: all their blocks are equal."""
    found: list[tuple[str, dict[bytes, Tensor]]] = []
    for balance in balances:
        blocks = {_mark(block): block for block in balance.blocks}
        same = [entry for entry in found if not entry[1].keys().isdisjoint(blocks)]
        found = [entry for entry in found if entry not in same]
        for _, others in same:
            blocks = others | blocks
        found.append((same[0][0] if same else balance.where, blocks))
    return tuple(Balance(torch.stack(list(blocks.values())), where) for where, blocks in found if len(blocks) > 1)


def _mark(block: Tensor) -> bytes:
    marked: bytes = block.sort().values.numpy().tobytes()
    return marked

"""A forward that views what it made by the width of what it takes, as attention does: `x.reshape(B, N, C)`.

`C` was read off the stream. After a cut the view fits where the channels that it holds, those of all heads, are as many
as the stream's: blocks that keep equal numbers.
"""

from collections.abc import Iterable, Mapping

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

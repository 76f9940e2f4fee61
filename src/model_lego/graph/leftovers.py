"""What earlier programs of a network left: they hold each other in circles, which only a full collection frees."""

import gc

from torch import nn

from model_lego.graph.cost import sized

#: Bytes of a network from which on it is worth it: a collection looks through all that the process holds.
LARGE = 4 * 2**20


def clear_away(model: nn.Module) -> None:
    """Free what programs of a network, or of what was cut from it, still hold, where that is much."""
    if sized(model, macs=0).bytes >= LARGE:
        gc.collect()

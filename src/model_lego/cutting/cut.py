"""The noun Cut: a network and the narrower one that was made of it."""

import copy
from dataclasses import dataclass, replace

from torch import nn

from model_lego.graph import ChannelGraph, ChannelSelection
from model_lego.graph.cost import cost_of
from model_lego.graph.program import Program
from model_lego.parts.origin import Cost


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A cut network beside its source, with all that says how the two belong together.

    `module` is the narrower network, `program` its own operators; `graph` is the channel graph of the `source`, which
    is never changed, and `selection` says which of its channels are kept. `untuned` is the module as
    it was before it was tuned, where that was asked for.
    """

    module: nn.Module
    program: Program
    source: nn.Module
    graph: ChannelGraph
    selection: ChannelSelection
    untuned: nn.Module | None = None

    def copy(self) -> "Cut":
        """The same cut with a module of its own, which may be refitted."""
        return replace(self, module=copy.deepcopy(self.module))

    def cost(self) -> Cost:
        """What the cut network costs."""
        return cost_of(self.module, self.program, rules=self.graph.rules)

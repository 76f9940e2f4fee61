"""What is evaluated costs, counted in one way: parts as they were cut, other networks by their operators."""

import torch
from torch import Tensor, nn

from model_lego.graph.cost import cost_of, sized
from model_lego.graph.modules import first_parameter
from model_lego.graph.program import export_program
from model_lego.parts.assembly import Assembly
from model_lego.parts.component import Component
from model_lego.parts.origin import Cost
from model_lego.parts.preprocessing import Preprocessing


def part_cost(part: Component | Assembly) -> Cost:
    """What a part costs as it is now: it may have been stored in another data type since it was cut."""
    if isinstance(part, Component):
        return sized(part, macs=part.origin.cost_after.macs)
    mixing = part.head.weight.numel() if part.head.weight.dim() == 2 else 0
    return sized(part, macs=sum(part_cost(one).macs for one in part.networks()) + mixing)


@torch.no_grad()
def network_cost(network: nn.Module, image: Tensor, preprocessing: Preprocessing | None = None) -> Cost:
    """What a part or any other network costs for one image, 1 x channels x height x width, as it is given.

    A network that is no part is exported to find its operators: raises TraceFailed, RefusedError where it cannot be.
    """
    if isinstance(network, Component | Assembly):
        return part_cost(network)
    image = image.to(first_parameter(network))
    image = image if preprocessing is None else preprocessing(image)
    return cost_of(network, export_program(network, image))

"""The number of groups of an operator follows a cut wherever it is held; in the code, it is found by trial."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from tests.support.plans import half_plan

WIDTH, GROUPS = 8, 4
NORMS = {
    "attribute of another name": lambda own, x: F.group_norm(x, own.blocks, own.scale),
    "counted": lambda own, x: F.group_norm(x, x.shape[1] // 2, own.scale),
    "of another module": lambda own, x: F.group_norm(x, own.norm.num_groups, own.norm.weight, own.norm.bias),
    "kernels counted": lambda own, x: F.conv2d(x, own.kernel, groups=len(own.kernel)),
    "kernels, attribute": lambda own, x: F.conv2d(x, own.kernel, groups=own.width),
}
WRITTEN = {
    "norm": lambda own, x: F.group_norm(x, 4, own.scale),
    "norm without weights": lambda own, x: F.group_norm(x, 4) * own.scale[:, None, None],
    "kernels": lambda own, x: F.conv2d(x, own.kernel, groups=8),
    "kernels of a module": lambda own, x: F.conv2d(x, own.conv.weight, groups=8),
}


class Groups(nn.Module):
    """An operator with groups, and only what it needs."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        if name == "of another module":
            self.norm = nn.GroupNorm(GROUPS, WIDTH)
        elif name == "kernels of a module":
            self.conv = nn.Conv2d(WIDTH, WIDTH, 3, groups=WIDTH)
        elif "kernels" in name:
            self.kernel = nn.Parameter(torch.randn(WIDTH, 1, 3, 3))
        else:
            self.scale = nn.Parameter(torch.rand(WIDTH))
        if "attribute" in name:
            self.blocks, self.width = GROUPS, WIDTH

    def forward(self, x):
        return {**NORMS, **WRITTEN}[self.name](self, x)


def kept(name: str) -> int:
    """How many of the channels in front of the operator are left, in a cut that was checked."""
    torch.manual_seed(0)
    stem, last = [nn.Conv2d(3, WIDTH, 3), nn.ReLU()], [nn.Conv2d(WIDTH, 8, 1), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)]
    model, x = nn.Sequential(*stem, Groups(name), *last, *head).double().eval(), torch.randn(4, 3, 8, 8).double()
    graph = trace(model, x)
    plan = half_plan(graph, seed=0, logits=[2, 0])
    check_cut(slice_model(model, graph, plan).module, model, graph, plan, x)
    if name in WRITTEN:
        assert "the forward has the number of channels written into it (layer '2')" in str(graph)
    return plan.kept(graph.layer("0").outputs)


@pytest.mark.parametrize("name", NORMS)
def test_a_number_of_groups_that_is_held_or_counted_follows(name):
    assert kept(name) == WIDTH // 2


@pytest.mark.parametrize("name", WRITTEN)
def test_a_number_of_groups_in_the_code_keeps_its_channels(name):
    assert kept(name) == WIDTH

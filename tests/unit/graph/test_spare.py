"""What eval mode does without is found by doing without it: unused tensors alone do not tell."""

import pytest
import torch
from torch import nn

from model_lego import diagnose, load, save
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.disassembly import disassembling
from model_lego.graph.spare import Absent
from tests.support.plans import half_plan
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import CLASSES, inputs


class Scaled(nn.Module):
    """The identity in eval mode, by a learned factor otherwise (as the drop path of a NASNet)."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x * self.factor.sigmoid() if self.training else x


class Noted(nn.Module):
    """The identity in eval mode, with a layer inside that only training calls."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return x + self.layer(x) if self.training else x


class Asked(nn.Module):
    """A layer that nobody calls, but whose number is read."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return x / self.layer.kernel_size[0]


class Thrown(nn.Module):
    """A layer that is called, and what it gives is used in training only: it is cut like any other."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        seen = self.layer(x)
        return x + seen if self.training else x


class Unread(nn.Module):
    """A module that no forward calls."""

    def __init__(self):
        super().__init__()
        self.aside = Head(8)

    def forward(self, x):
        return x


#: A layer at path '1' -> the modules that eval mode does without, and the tensors that nobody reads and that stay.
CASES = {
    Scaled: ((), ("1.factor",)),
    Noted: (("1.layer",), ()),
    Asked: ((), ("1.layer.weight", "1.layer.bias")),
    Thrown: ((), ()),
    Unread: (("1.aside",), ()),
}


def network(layer) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(unit(3, 8), layer(), unit(8, 10), Head(10)).double().eval()


def batches():
    return [(inputs("plain", batch=10), torch.arange(10) % CLASSES)]


@pytest.mark.parametrize("layer", CASES)
def test_a_module_whose_tensors_nobody_reads_stays_where_it_is_needed(layer):
    model, (spare, left) = network(layer), CASES[layer]
    graph = trace(model, inputs("plain", batch=2))
    assert graph.spare == spare == diagnose(model, inputs("plain")).dropped
    made = slice_model(model, graph, half_plan(graph, seed=0, logits=[1, 0]))
    assert made.dropped == spare
    assert [isinstance(made.module.get_submodule(path), Absent) for path in spare] == [True] * len(spare)
    part = disassembling.disassemble(model, batches(), classes=[1, 3], sampling="all", repair="none")
    assert part(inputs("plain")).shape == (4, 2)
    assert part.origin.settings.get("left_uncut", []) == list(left)


@pytest.mark.parametrize("layer", [Scaled, Noted])
def test_such_a_component_is_saved_and_loaded(layer, tmp_path):
    model = network(layer)
    part = disassembling.disassemble(model, batches(), classes=[1, 3], sampling="all", repair="none")
    save(part, tmp_path / "part")
    back = load(tmp_path / "part", factory=lambda: network(layer))
    with torch.no_grad():
        assert torch.equal(back(inputs("plain")), part(inputs("plain")))


def test_one_of_two_is_needed_and_the_other_is_not():
    torch.manual_seed(0)
    model = nn.Sequential(unit(3, 8), Scaled(), Noted(), Unread(), unit(8, 10), Head(10)).double().eval()
    assert trace(model, inputs("plain", batch=2)).spare == ("2.layer", "3.aside")

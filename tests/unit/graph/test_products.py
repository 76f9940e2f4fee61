"""A product with a parameter, however it is written, is a linear layer: cut, scored, repaired and saved as one."""

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.cutting.tracing import trace
from tests.support.tiny.streams import unit
from tests.support.tiny_models import CLASSES, inputs

FROM, TO = 8, 6


class Product(nn.Module):
    """A layer that multiplies by hand; `weight` is outputs x inputs, or inputs x outputs."""

    def __init__(self, function, ins, outs, *, by_input):
        super().__init__()
        self.by_input, self.function, self.in_features, self.out_features = by_input, function, ins, outs
        self.weight = nn.Parameter(torch.randn(ins, outs) if by_input else torch.randn(outs, ins))
        self.shift = nn.Parameter(torch.randn(outs))

    def forward(self, x):
        return self.function(x, self.weight, self.shift)


BY_OUTPUT = {
    "x @ w.t()": lambda x, w, b: x @ w.t(),
    "x @ w.T + b": lambda x, w, b: x @ w.T + b,
    "x @ w.mT": lambda x, w, b: x @ w.mT,
    "mm of a transpose": lambda x, w, b: torch.mm(x, w.transpose(0, 1)),
    "matmul of a permutation": lambda x, w, b: torch.matmul(x, w.permute(1, 0)),
    "addmm of a transpose": lambda x, w, b: torch.addmm(b, x, w.t()),
}
BY_INPUT = {
    "x @ w": lambda x, w, b: x @ w,
    "mm + b": lambda x, w, b: torch.mm(x, w) + b,
    "addmm": lambda x, w, b: torch.addmm(b, x, w),
    "maps, channels last": lambda x, w, b: (x[:, None, None] @ w)[:, 0, 0],
}


def networks(name, *, head: bool) -> tuple[nn.Module, nn.Module]:
    """A network with a product by hand, as its head or before it, and the same with nn.Linear."""
    torch.manual_seed(0)
    by_input = name in BY_INPUT
    function = {**BY_OUTPUT, **BY_INPUT}[name]
    stem = [unit(3, 8), nn.Conv2d(8, FROM, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    outs = CLASSES if head else TO
    product = Product(function, FROM, outs, by_input=by_input)
    linear = nn.Linear(FROM, outs)
    linear.weight.data = product.weight.data.T.clone() if by_input else product.weight.data.clone()
    shifted = name in ("x @ w.T + b", "addmm of a transpose", "mm + b", "addmm")
    linear.bias.data = product.shift.data.clone() if shifted else torch.zeros(outs)
    rest = [] if head else [nn.ReLU(), nn.Linear(TO, CLASSES)]
    made = [nn.Sequential(*stem, layer, *rest).double().eval() for layer in (product, linear)]
    return made[0], made[1]


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("name", [*BY_OUTPUT, *BY_INPUT])
def test_it_is_cut_as_a_linear_layer_is(name, head):
    model, plain = networks(name, head=head)
    x = inputs("plain", batch=12)
    torch.testing.assert_close(model(x), plain(x))
    batches = [(x, torch.arange(12) % CLASSES)]
    graphs = [trace(each, x) for each in (model, plain)]
    assert not graphs[0].freezes
    assert [len(layer.outputs) for layer in graphs[0].layers] == [len(layer.outputs) for layer in graphs[1].layers]
    options = {"classes": [3, 1], "sampling": "all", "repair": "none"}
    one, other = (ml.disassemble(each, batches, **options) for each in (model, plain))
    torch.testing.assert_close(one(x), other(x))
    assert one.origin.cost_after.macs == other.origin.cost_after.macs


@pytest.mark.parametrize("name", ["x @ w.t()", "addmm"])
def test_it_is_repaired_saved_and_loaded(name, tmp_path):
    model, _ = networks(name, head=True)
    x = inputs("plain", batch=12)
    part = ml.disassemble(model, [(x, torch.arange(12) % CLASSES)], classes=[3, 1], sampling="all")
    ml.save(part, tmp_path / "part")
    back = ml.load(tmp_path / "part", factory=lambda: networks(name, head=True)[0])
    assert torch.equal(back(x), part(x))
    assert part.module[5].out_features == 2


def test_a_product_of_two_values_stays_one():
    class Attends(nn.Module):
        def forward(self, x):
            y = x.flatten(2)
            return (y @ y.transpose(1, 2)).mean(2)

    model = nn.Sequential(unit(3, 8), Attends(), nn.Linear(8, CLASSES)).double().eval()
    graph = trace(model, inputs("plain", batch=2))
    assert any("a product of two values" in freeze.reason for freeze in graph.freezes)


def test_a_product_of_parameters_is_a_computed_weight():
    class LowRank(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Parameter(torch.randn(6, 2)), nn.Parameter(torch.randn(2, 8))

        def forward(self, x):
            return nn.functional.linear(x, self.left @ self.right)

    stem = [unit(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*stem, LowRank(), nn.ReLU(), nn.Linear(6, CLASSES)).double().eval()
    graph = trace(model, inputs("plain", batch=2))
    assert any("its weight is computed" in freeze.reason for freeze in graph.freezes)
    assert len(graph.layers) == 2

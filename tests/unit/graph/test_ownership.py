"""Layers that a network uses and does not hold are refused with the attribute or the forward that hides them."""

import sys
from types import MethodType

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego import diagnose
from model_lego.disassembly import disassembling
from model_lego.errors import RefusedError, TraceFailed
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import CLASSES, inputs


class Held(nn.Module):
    """A small network that also runs what its attribute `held` holds."""

    def __init__(self, held, use):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.body, self.head = unit(3, 8), unit(8, 8), Head(8)
        self.held, self.use = held, use

    def body_of(self, x):
        return self.body(self.stem(x))

    def forward(self, x):
        return self.head(self.use(self, self.body_of(x)))


def every(net, x):
    for layer in net.held:
        x = layer(x)
    return x


def layers(*kinds) -> list:
    torch.manual_seed(1)
    return [kind(8).double().eval() for kind in kinds]


pytestmark = pytest.mark.usefixtures("exported_anew")


def conv(width) -> nn.Module:
    return nn.Conv2d(width, width, 3, padding=1)


OUTSIDE = nn.Conv2d(8, 8, 1, dtype=torch.float64)
CASES = {
    "list": (lambda: Held(layers(conv, conv), every), "'held' holds layers or parameters in a plain list.*ModuleList"),
    "tuple": (lambda: Held(tuple(layers(conv)), every), "in a plain tuple"),
    "dict": (lambda: Held({"a": layers(conv)}, lambda net, x: net.held["a"][0](x)), "in a plain dict"),
    "norms": (lambda: Held(layers(nn.BatchNorm2d), every), "in a plain list"),
    "parameters": (
        lambda: Held([nn.Parameter(torch.rand(8, 1, 1).double())], lambda net, x: x * net.held[0]),
        "in a plain list.*ParameterList",
    ),
    "deeper": (lambda: nn.Sequential(nn.Identity(), Held(layers(conv), every)), "'1.held' holds layers"),
    "global": (lambda: Held(None, lambda net, x: OUTSIDE(x)), r"the network uses a tensor of shape \(8, 8, 1, 1\)"),
}


@pytest.mark.parametrize("name", CASES)
def test_layers_that_are_registered_nowhere_are_refused_with_where_they_are(name):
    make, message = CASES[name]
    with pytest.raises(RefusedError, match=message):
        diagnose(make().double().eval(), inputs("plain", batch=2))


def closure():
    model = Held(None, lambda net, x: x)
    model.forward = lambda x: model.head(model.body_of(x))
    return model


def wrapped():
    model = Held(None, lambda net, x: x)
    before = model.forward
    model.forward = lambda x: before(x) * 2
    return model


def one_layer():
    model = Held(None, lambda net, x: x)
    before = model.body[0].forward
    model.body[0].forward = lambda x: before(x + 1)
    return model


@pytest.mark.parametrize(
    ("make", "place"), [(closure, "the network"), (wrapped, "the network"), (one_layer, r"layer 'body\.0'")]
)
def test_a_forward_that_holds_the_original_is_refused_with_its_module(make, place):
    with pytest.raises(RefusedError, match=rf"forward of {place} is a function put in from outside.*MethodType"):
        diagnose(make().double().eval(), inputs("plain", batch=2))


def test_what_is_said_of_such_a_forward_helps():
    model = Held(None, lambda net, x: x).double().eval()
    model.forward = MethodType(lambda net, x: net.head(net.body_of(x)) * 2, model)
    batches = [(inputs("plain", batch=10), torch.arange(10) % CLASSES)]
    part = disassembling.disassemble(model, batches, classes=[3, 1], sampling="all", repair="none")
    assert part(inputs("plain")).shape == (4, 2)


@pytest.mark.parametrize(
    "use",
    [
        lambda net, x: x * torch.tensor(2.0),
        lambda net, x: x * net.held[0],
    ],
)
def test_plain_tensors_may_be_anywhere(use):
    assert diagnose(Held([torch.rand(8, 1, 1)], use).double().eval(), inputs("plain", batch=2)).layers


# -------------------------------------------------------------------- what torch.export cannot follow: the user's line


def branches(net, x):
    return x * 2 if x.mean() > 0 else x


def counts(net, x):
    return x[:, :, : int(x.argmax()) % 4 + 1]


def leaves_torch(net, x):
    return torch.from_numpy(x.detach().numpy())


def loops(net, x):
    while x.sum() > 1:
        x = F.relu(x - 1)
    return x


@pytest.mark.parametrize("use", [branches, counts, leaves_torch, loops])
def test_what_cannot_be_followed_is_said_with_its_line_and_nothing_is_printed(use, capfd):
    with pytest.raises(TraceFailed, match=rf"cannot follow Held: .*test_ownership\.py.*in {use.__name__}") as raised:
        diagnose(Held(None, use).double().eval(), inputs("plain", batch=2))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_what_the_forward_itself_says_is_not_lost(capfd):
    def says(net, x):
        sys.stderr.write("here")
        return x

    diagnose(Held(None, says).double().eval(), inputs("plain", batch=2))
    assert "here" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, lambda layer: torch.jit.trace(layer, torch.zeros(1, 8, 4, 4))])
def test_a_layer_that_torch_jit_compiled_is_refused_as_that(compiled):
    torch.manual_seed(0)
    model = nn.Sequential(unit(3, 8), compiled(unit(8, 8).eval()), Head(8)).eval()
    with pytest.raises(RefusedError, match=r"layer '1' was compiled by torch\.jit; take the Python module"):
        diagnose(model, inputs("plain", batch=2, dtype=torch.float32))
    whole = torch.jit.script(nn.Sequential(unit(3, 8), Head(8)).eval())
    with pytest.raises(RefusedError, match=r"the network was compiled by torch\.jit"):
        diagnose(whole, inputs("plain", batch=2, dtype=torch.float32))

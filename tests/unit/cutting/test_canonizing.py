"""canonize: computed weights become plain ones, with the same logits; the copy can be cut, saved and loaded."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from model_lego import Builder, canonize, load, save, trace
from model_lego.cutting.canonizing import can_be_plain, plain_layers
from model_lego.cutting.slicing import slice_model
from model_lego.disassembly.disassembling import disassemble
from model_lego.errors import CorruptComponent
from model_lego.store.rebuild import PLAIN, _make_plain
from tests.support.oracles import masked_forward
from tests.support.plans import half_plan, kept_inputs, lost
from tests.support.tiny.coupled import Standardised
from tests.support.tiny.streams import Head, unit
from tests.support.tiny_models import build, inputs, randomize_batchnorm

NAMES = ("standardised", "weight_norm")


def logits(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x)


@pytest.mark.parametrize("name", NAMES)
def test_the_logits_stay_and_the_source_is_left_alone(name):
    model, x = build(name), inputs(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plain = canonize(model, x)
    torch.testing.assert_close(logits(plain, x), logits(model, x), rtol=0, atol=1e-12)
    assert can_be_plain(model, trace(model, x))
    assert not can_be_plain(plain, trace(plain, x))
    assert type(plain) is type(model)
    assert plain_layers(model) == {}
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [type(module).__name__ for module in model.modules()] == [
        type(module).__name__ for module in build(name).modules()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_slice_of_the_plain_network_is_its_mask(name):
    plain, x = canonize(build(name), inputs(name)), inputs(name, batch=5, seed=1)
    graph = trace(plain, x[:2])
    assert not graph.freezes
    plan = half_plan(graph, seed=0, logits=[3, 1])
    assert all(count > 0 for count, _ in lost(graph, plan).values())
    expected = masked_forward(plain, x, kept_inputs(graph, plan))[:, [3, 1]]
    found = logits(slice_model(plain, graph, plan).module, x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert (expected - logits(plain, x)[:, [3, 1]]).abs().max() > 1e-3


def test_the_geometry_of_a_layer_is_kept():
    class Odd(nn.Conv2d):
        def forward(self, x):
            weight = self.weight / self.weight.norm()
            return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    torch.manual_seed(0)
    odd = Odd(8, 12, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=4, bias=False)
    model = nn.Sequential(unit(3, 8), odd, unit(12, 10), Head(10)).double().eval()
    plain = canonize(model, inputs("plain"))
    conv = plain[1]
    assert type(conv) is nn.Conv2d
    assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 5), (2, 1), (1, 2))
    assert (conv.dilation, conv.groups, conv.bias) == ((1, 2), 4, None)
    torch.testing.assert_close(logits(plain, inputs("plain")), logits(model, inputs("plain")), rtol=0, atol=1e-12)


def test_a_network_without_computed_weights_is_given_back_itself():
    model = build("plain")
    assert canonize(model, inputs("plain")) is model


class Doing(Standardised):
    """More than one convolution with a computed weight."""

    def forward(self, x):
        return super().forward(x).relu()


def test_a_layer_that_does_more_stays_as_it_is():
    torch.manual_seed(0)
    model = nn.Sequential(unit(3, 8), Doing(8, 12, 3), unit(12, 10), Head(10)).double().eval()
    assert canonize(model, inputs("plain")) is model
    assert not can_be_plain(model, trace(model, inputs("plain")))


def test_a_plain_linear_layer_with_its_bias():
    torch.manual_seed(0)
    linear = parametrizations.weight_norm(nn.Linear(8, 6))
    model = nn.Sequential(unit(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear, nn.ReLU(), nn.Linear(6, 5))
    randomize_batchnorm(model, torch.Generator().manual_seed(1))
    model = model.double().eval()
    plain = canonize(model, inputs("plain"))
    assert type(plain[3]) is nn.Linear
    assert plain[3].bias is not None
    torch.testing.assert_close(logits(plain, inputs("plain")), logits(model, inputs("plain")), rtol=0, atol=1e-12)


def test_a_component_of_a_plain_network_is_saved_and_loaded(tmp_path):
    """A network that a builder makes, so that loading has to make the layers plain again."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    arguments = {"num_classes": 4}
    model = timm.create_model("test_nfnet", pretrained=False, **arguments).eval()
    x, labels = torch.randn(8, 3, 64, 64), torch.arange(8) % 4
    plain = canonize(model, x)
    component = disassemble(
        plain, [(x, labels)], classes=[2, 0], sampling="all", builder=Builder("timm:test_nfnet", arguments),
        graph=trace(plain, x[:2]),
    )  # fmt: skip
    assert set(component.origin.settings["plain_layers"]) == set(plain_layers(plain))
    save(component, tmp_path / "part")
    twin = load(tmp_path / "part")
    assert torch.equal(logits(twin, x), logits(component.eval(), x))
    assert set(plain_layers(twin.module)) == set(plain_layers(plain))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([], "is not a mapping"),
        ({"7.nothing": {"kind": "conv2d", "arguments": {}}}, "which the uncut network has not"),
        ({"2": {"kind": "os.system", "arguments": {}}}, "cannot be made plain"),
        ({"2": {"kind": "conv2d", "arguments": {"in_channels": "many"}}}, "cannot be made plain"),
        ({"2": "conv2d"}, "cannot be made plain"),
    ],
)
def test_what_a_file_says_of_plain_layers_is_checked(layers, words):
    with pytest.raises(CorruptComponent, match=words):
        _make_plain(build("standardised"), layers, "a folder")
    assert PLAIN == "plain_layers"

"""Attributes that tell how wide a network or a block is follow the cut, or are listed; others are left alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import model_lego as ml
from model_lego.cutting.slicing import slice_model
from model_lego.cutting.tracing import trace
from model_lego.cutting.verification import check_cut
from model_lego.graph import select
from tests.support.plans import half_plan
from tests.support.tiny_models import CLASSES, inputs, randomize_batchnorm


class Block(nn.Module):
    """A block that notes its widths and, as some do, asks them whether its input can be added."""

    def __init__(self, ins, outs):
        super().__init__()
        self.in_channels, self.out_channels, self.hidden_dim = ins, outs, 16
        self.depth, self.kernel_size = outs, 3  # as large as the block is wide, and about something else
        self.wide, self.narrow = nn.Conv2d(ins, 16, 3, padding=1), nn.Conv2d(16, outs, 1)

    def forward(self, x):
        y = self.narrow(F.relu(self.wide(x)))
        return F.relu(x + y if self.in_channels == self.out_channels else y)


class Named(nn.Module):
    """A network that notes what networks note: torchvision's `inplanes`, timm's `num_features`, and their like."""

    def __init__(self):
        super().__init__()
        self.num_classes, self.num_features, self.inplanes, self.base_width = CLASSES, 12, 12, 12
        self.in_channels, self.width = 3, 16
        self.feature_info = [{"num_chs": 8, "module": "first"}, {"num_chs": 12, "module": "last"}]
        self.stem, self.first, self.last = nn.Conv2d(3, 8, 3), Block(8, 8), Block(8, 12)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        return self.fc(self.last(self.first(F.relu(self.stem(x)))).mean((2, 3)))

    def reset(self, classes):
        """As timm's `reset_classifier`."""
        self.num_classes, self.fc = classes, nn.Linear(self.num_features, classes, dtype=torch.float64)


def named() -> nn.Module:
    torch.manual_seed(0)
    return Named().double().eval()


def cut_half():
    model = named()
    graph = trace(model, inputs("plain", batch=2))
    return slice_model(model, graph, half_plan(graph, seed=0, logits=[3, 1]))


def test_what_is_named_for_a_width_follows_it():
    made = cut_half()
    net = made.module
    assert net.num_classes == net.fc.out_features == 2
    assert net.num_features == net.inplanes == net.fc.in_features < 12
    for block in (net.first, net.last):
        assert block.in_channels == block.wide.in_channels
        assert block.out_channels == block.narrow.out_channels
        assert block.hidden_dim == block.wide.out_channels
        assert (block.depth, block.kernel_size) in ((8, 3), (12, 3))
    assert (net.in_channels, net.base_width) == (3, 12)
    assert made.attributes[""] == {"num_classes": 2, "num_features": net.num_features, "inplanes": net.inplanes}


def test_what_may_be_a_width_and_is_not_clear_is_listed():
    made = cut_half()
    assert set(made.stale) == {"width", "feature_info"}
    assert made.module.width == 16
    whole = named()
    graph = trace(whole, inputs("plain", batch=2))
    everything = select(graph, torch.ones(graph.width, dtype=torch.bool), logits=range(CLASSES))
    assert slice_model(whole, graph, everything).stale == ()


def test_a_new_head_fits_what_is_left():
    net = cut_half().module
    net.reset(7)
    assert net(inputs("plain")).shape == (4, 7)


def test_widths_that_differed_differ_after_the_cut():
    """`last` takes 8 and gives 12; where as many of each are left, its forward would begin to add its input."""
    model = named()
    graph = trace(model, inputs("plain", batch=2))
    keep = torch.ones(graph.width, dtype=torch.bool)
    keep[graph.layer("last.narrow").outputs[8:]] = False
    made = slice_model(model, graph, select(graph, keep, logits=range(CLASSES)))
    assert {"last.in_channels", "last.out_channels"} <= set(made.stale)
    assert (made.module.last.in_channels, made.module.last.out_channels) == (8, 12)
    x = inputs("plain")
    lost = model.fc.weight.data[:, 8:].zero_()
    assert not lost.any()
    torch.testing.assert_close(made.module(x), model(x))


class Paths(nn.Module):
    """Each half of what it takes goes a way of its own, and both give as many channels as it takes: SKNet's block."""

    def __init__(self, width):
        super().__init__()
        self.in_channels = self.out_channels = width
        self.near, self.far = nn.Conv2d(width // 2, width, 1), nn.Conv2d(width // 2, width, 3, padding=1)

    def forward(self, x):
        near, far = x.split(self.in_channels // 2, 1)
        return F.relu(self.near(near) + self.far(far))


def test_widths_by_which_a_forward_divides_follow_though_they_part():
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), Paths(8), *head).double().eval()
    x = inputs("plain")
    graph = trace(model, x)
    keep = torch.ones(graph.width, dtype=torch.bool)
    keep[graph.layer("0").outputs[[3, 4]]] = False
    keep[graph.layer("1.near").outputs[0]] = False
    selection = select(graph, keep, logits=range(CLASSES))
    made = slice_model(model, graph, selection)
    assert (made.module[1].in_channels, made.module[1].out_channels) == (6, 7)
    check_cut(made.module, model, graph, selection, x)


def test_they_are_saved_and_loaded(tmp_path):
    batches = [(inputs("plain", batch=10), torch.arange(10) % CLASSES)]
    part = ml.disassemble(named(), batches, classes=[3, 1], budget=ml.Budget(params=0.4), repair="none")
    ml.save(part, tmp_path / "part")
    back = ml.load(tmp_path / "part", factory=named)
    names = ("num_classes", "num_features", "inplanes", "width")
    assert [getattr(back.module, name) for name in names] == [getattr(part.module, name) for name in names]
    assert back.module.num_classes == 2
    assert back.module.num_features == back.module.fc.in_features < 12
    assert back.module.last.out_channels == back.module.num_features
    assert "width" in back.origin.settings["stale_attributes"]


def test_a_padded_network_says_what_it_is():
    batches = [(inputs("plain", batch=10), torch.arange(10) % CLASSES)]
    parts = [
        ml.disassemble(named(), batches, classes=classes, budget=ml.Budget(params=0.4), repair="none")
        for classes in ([0, 1], [2, 3])
    ]
    joint = ml.assemble(parts, layout="padded", head="concat").padded.module
    assert joint.num_classes == joint.fc.out_features == 4
    assert joint.num_features == joint.fc.in_features
    assert joint.in_channels == 3


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_a_head_that_timm_makes_anew_fits(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=6).eval()
    randomize_batchnorm(model, torch.Generator().manual_seed(1))
    x = torch.randn(2, 3, 48, 48)
    graph = trace(model, x)
    made = slice_model(model, graph, half_plan(graph, seed=0, logits=[1, 4]))
    net = made.module
    assert net.num_classes == 2
    assert net.num_features == net.get_classifier().in_features < model.num_features
    assert "feature_info" in made.stale
    net.reset_classifier(3)
    assert net.eval()(x).shape == (2, 3)

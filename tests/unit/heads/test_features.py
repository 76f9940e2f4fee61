"""Features: what the layers read that make the logits; the layer applied to them gives the logits again."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from model_lego.errors import IncompatibleComponents
from model_lego.heads.features import logit_layers
from model_lego.parts.layer_inputs import pooled, run_and_hear
from tests.support.components import Pixels
from tests.support.tiny_models import TINY, build, inputs

LINEAR = sorted(set(TINY) - {"log_softmax_head", "conv_head"})  # which do not give what their last layers do


@pytest.mark.parametrize("name", LINEAR)
def test_the_layer_on_its_features_gives_the_logits(name):
    model, images = build(name), inputs(name)
    (path,) = logit_layers(model, images)
    logits, heard = run_and_hear(model, [path], images)
    layer = model.get_submodule(path)
    features = pooled(heard[path], layer)
    assert features.dim() == 2
    assert torch.allclose(F.linear(features, layer.weight.flatten(1), layer.bias), model(images), rtol=1e-9)
    assert torch.equal(logits, model(images))


class Two(nn.Module):
    """Logits that two layers add up, one of them on tokens."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.one, self.other = nn.Linear(4, 5), nn.Linear(4, 5)

    def forward(self, x):
        x = self.stem(x)
        return self.one(x.mean((2, 3))) + self.other(x.permute(0, 2, 3, 1)).mean((1, 2))


def test_several_layers_that_are_added_up_are_all_read():
    images = inputs("plain")
    model = Two().double().eval()
    assert logit_layers(model, images) == ("one", "other")
    _, heard = run_and_hear(model, ("other", "one"), images)
    assert list(heard) == ["other", "one"]
    mean = model.stem(images).mean((2, 3))
    assert all(torch.allclose(pooled(x, model.get_submodule(path)), mean) for path, x in heard.items())


def test_a_map_in_front_of_a_1x1_convolution_is_averaged():
    model, images = build("conv_head"), inputs("conv_head")
    assert logit_layers(model, images) == ("classifier.1",)
    _, heard = run_and_hear(model, ["classifier.1"], images)
    assert heard["classifier.1"].shape == (4, 12, 3, 3)
    assert torch.allclose(pooled(heard["classifier.1"], model.classifier[1]), heard["classifier.1"].mean((2, 3)))


def whole(kernel: int) -> nn.Module:
    """A last convolution in front of a pool."""
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, kernel), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers).double().eval()


def test_a_kernel_that_covers_its_map_reads_all_of_it():
    images, model = inputs("plain"), whole(10)
    assert logit_layers(model, images) == ("2",)
    _, heard = run_and_hear(model, ["2"], images)
    assert torch.equal(pooled(heard["2"], model[2]), model[:2](images).flatten(1))


class Functional(nn.Module):
    """Uses the weight of a layer that it never calls."""

    def __init__(self):
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        return F.linear(self.stem(x).mean((2, 3)), self.last.weight, self.last.bias)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (whole(3), "layer '2' of Sequential makes logits, but"),
        (Functional().double(), "'last' of Functional is not called"),
    ],
    ids=["kernel", "functional"],
)
def test_logits_without_one_vector_of_features_are_refused(model, words):
    with pytest.raises(IncompatibleComponents, match=words):
        logit_layers(model.eval(), inputs("plain"))


def test_logits_that_no_layer_makes_are_refused():
    with pytest.raises(IncompatibleComponents, match=r"mixes classes .*use head='affine'"):
        logit_layers(Pixels(0, 1), torch.rand(2, 4, 1, 1, dtype=torch.float64))
    mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(IncompatibleComponents, match="use head='affine'"):
        logit_layers(mean, inputs("plain"))


def test_listening_leaves_nothing_behind_also_where_the_forward_fails():
    model = build("plain")
    with pytest.raises(RuntimeError):
        run_and_hear(model, ["11"], torch.zeros(2, 1, 12, 12, dtype=torch.float64))
    run_and_hear(model, ["11"], inputs("plain"))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_only_the_running_thread_is_heard():
    """While one thread is inside of the network, another runs it on other images."""
    model, mine, theirs = build("plain"), inputs("plain", seed=1), inputs("plain", seed=2)
    main = threading.get_ident()

    def meanwhile(*_):
        if threading.get_ident() == main:
            other = threading.Thread(target=lambda: model(theirs))
            other.start()
            other.join()

    handle = model[11].register_forward_hook(meanwhile)
    try:
        _, heard = run_and_hear(model, ["11"], mine)
    finally:
        handle.remove()
    assert torch.equal(heard["11"], run_and_hear(model, ["11"], mine)[1]["11"])

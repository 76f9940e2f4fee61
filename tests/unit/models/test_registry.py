"""Networks by name: built untrained, never downloaded, refused in words."""

import socket
import sys

import pytest
import torch

from model_lego.errors import BadConfig
from model_lego.models import build, build_from
from model_lego.models.zoo import ZOO
from model_lego.parts.origin import Builder

#: What makes torchvision or timm fetch a file; written down here too, so that none gets lost there.
FETCHING = ("weights", "pretrained", "checkpoint_path", "pretrained_cfg", "weights_backbone", "cache_dir")


@pytest.mark.parametrize("name", ["zoo:lenet5", "torchvision:squeezenet1_1", "timm:resnet10t"])
def test_a_network_is_built_for_the_classes_that_are_asked_for(name):
    if name.startswith("timm"):
        pytest.importorskip("timm", reason="timm is not installed")
    model = build(name, num_classes=3)
    side, channels = (28, 1) if name == "zoo:lenet5" else (64, 3)
    with torch.no_grad():
        assert model.eval()(torch.zeros(2, channels, side, side)).shape == (2, 3)


def test_a_builder_gives_the_network_that_it_names():
    found = build_from(Builder("zoo:lenet5", {"width": 0.5, "num_classes": 3}))
    assert type(found) is ZOO["lenet5"]
    assert found.classifier[-1].out_features == 3


@pytest.mark.parametrize("name", ["builtins:eval", "torch.hub:load", "zoo:../vgg16", "torchvision:models.vgg.vgg16"])
def test_a_builder_of_a_file_names_nothing_but_the_networks_that_are_allowed(name):
    with pytest.raises(BadConfig, match=f"'{name}' (names no network|is unknown)"):
        build_from(Builder(name))


def test_without_timm_its_networks_ask_for_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(BadConfig, match=r"pip install model-lego\[timm\]"):
        build("timm:resnet18")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zoo:lenet", "'zoo:lenet' is unknown; did you mean lenet5"),
        ("zoo:resnet2O", "did you mean resnet20"),
        ("torchvision:resnet81", "did you mean resnet18"),
        ("zoo:xyzzy", "'zoo:xyzzy' is unknown; there are lenet5, alexnet"),
        ("lenet5", "use zoo:NAME, torchvision:NAME, timm:NAME, hf:ORG/NAME, hf:FOLDER or python:FILE.py:CALLABLE"),
        ("os:system", "names no network"),
        ("zoo:", "names no network"),
        ("", "names no network"),
    ],
)
def test_names_that_are_not_there(name, words):
    with pytest.raises(BadConfig, match=words):
        build(name)


def test_a_timm_name_that_is_not_there():
    pytest.importorskip("timm", reason="timm is not installed")
    with pytest.raises(BadConfig, match=r"did you mean .*resnet18"):
        build("timm:resnet_18")


@pytest.mark.parametrize("name", ["zoo:lenet5", "torchvision:resnet18"])
def test_arguments_that_are_not_taken(name):
    with pytest.raises(BadConfig, match=f"{name} cannot be built with .*widht"):
        build(name, widht=2)


@pytest.mark.parametrize("argument", FETCHING)
def test_arguments_that_would_fetch_something(argument):
    with pytest.raises(BadConfig, match=f"'{argument}' .* would fetch weights"):
        build("torchvision:resnet18", **{argument: "DEFAULT"})


def test_nothing_is_fetched(monkeypatch):
    opened = []
    monkeypatch.setattr(socket, "socket", lambda *given, **options: opened.append(given))
    model = build("torchvision:squeezenet1_1", num_classes=2, weights=None)
    assert model.classifier[1].out_channels == 2
    assert opened == []

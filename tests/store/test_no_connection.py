"""A part of somebody else's opens no connection, whatever it names."""

import socket
from dataclasses import replace

import pytest
import torch
from torch import nn

from model_lego.errors import CorruptComponent
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store import inspect, load, save
from tests.support.handmade_parts import origin, read_json, write_json

#: The address of a network on the Hub, at one commit.
ON_THE_HUB = f"hf:somebody/network@{'0' * 40}"
RESNET = {"model_type": "resnet", "hidden_sizes": [8, 8], "depths": [1, 1], "embedding_size": 8, "num_classes": 3}


class Connected(BaseException):
    """What nothing takes for a network that is down."""


@pytest.fixture(autouse=True)
def unplugged(monkeypatch):
    def connect(*_, **__):
        raise Connected

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, connect)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, connect)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("torchvision:squeezenet1_1", {"num_classes": 3}),
        ("timm:test_resnet", {"num_classes": 3}),
        (ON_THE_HUB, RESNET),
    ],
)
def test_networks_of_libraries_are_built_without_one(tmp_path, name, arguments):
    pytest.importorskip({"timm": "timm", "hf": "transformers"}.get(name.partition(":")[0], "torchvision"))
    made = replace(origin(builder=Builder(name, arguments)), input_shape=(3, 64, 64))
    part = Component(build(name, **arguments).eval(), classes=["a", "b", "c"], labels=range(3), origin=made)
    folder = save(part, tmp_path / "part")
    inspect(folder, check_weights=True)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load(folder)(images), part(images))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("torchvision:resnet18", {"weights": "DEFAULT"}),
        ("torchvision:fcn_resnet50", {"weights_backbone": "DEFAULT"}),
        ("timm:test_resnet", {"pretrained": True}),
        ("timm:test_resnet", {"pretrained_cfg": {"url": "http://example.org/a.pt"}}),
        ("timm:test_resnet", {"pretrained_cfg_overlay": {"hf_hub_id": "somebody/network"}}),
        ("timm:test_resnet", {"checkpoint_path": "http://example.org/a.pt"}),
        ("timm:hf-hub:somebody/network", {}),
        ("hf:somebody/network", {}),
        (ON_THE_HUB, {}),
        (ON_THE_HUB, {**RESNET, "backbone": "somebody/network", "use_pretrained_backbone": True}),
        (ON_THE_HUB, {**RESNET, "_name_or_path": "somebody/network"}),
        (ON_THE_HUB, {**RESNET, "auto_map": {"AutoConfig": "somebody/network--code.Config"}}),
        (ON_THE_HUB, {"model_type": "somebody/network"}),
    ],
)
def test_what_would_fetch_is_refused(tmp_path, name, arguments):
    pytest.importorskip({"timm": "timm", "hf": "transformers"}.get(name.partition(":")[0], "torchvision"))
    folder = save(Component(nn.Linear(1, 1), classes=["a"], labels=[0], origin=origin()), tmp_path / "part")
    raw = read_json(folder)
    raw["parts"][0]["origin"]["builder"] = {"name": name, "arguments": arguments}
    write_json(folder, raw)
    with pytest.raises(CorruptComponent):
        load(folder)

"""The image that a saved part is known again by: small where that tells as much, else of the part's own size."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from model_lego.errors import CorruptComponent
from model_lego.models import build
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from model_lego.store import asking, load, save
from model_lego.store.probe import probe_of
from tests.support.handmade_parts import origin, read_json, write_json


def part(*layers, side=224, preprocessing=None, builder=None):
    """A classifier of two classes of these layers, that takes images of a size."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made = replace(origin(builder=builder), input_shape=(3, side, side))
    layers = nn.Sequential(*network, nn.Linear(4, 2)).eval()
    return Component(layers, classes=["a", "b"], labels=[0, 1], origin=made, preprocessing=preprocessing)


class Folding(nn.Module):
    """Does something else with large maps."""

    def forward(self, x):
        return x * 2 if x.shape[-1] > 40 else x


class Growing(nn.Module):
    """Does the same with another setting for large maps."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 2, padding=int(x.shape[-1] > 40))


DILATED = nn.Conv2d(4, 4, 3, dilation=16, padding=16)


@pytest.mark.parametrize(
    ("made", "side"),
    [
        (part(), 64),
        (part(nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)), 64),
        (part(DILATED), 128),  # on 16 x 16 pixels its outer taps see none
        (part(DILATED, DILATED, nn.MaxPool2d(4), DILATED), 224),
        (part(nn.AvgPool2d(20)), 128),
        (part(Folding()), 224),
        (part(Growing()), 224),
        (part(side=48), 48),
        (part(preprocessing=Preprocessing(mean=0.5, std=0.5)), 64),
        (part(preprocessing=Preprocessing(size=(224, 224))), 224),
    ],
)
def test_the_smallest_image_that_tells_as_much_is_taken(made, side):
    assert probe_of(made).shape == (3, side, side)


def resnet():
    network = build("torchvision:resnet18", num_classes=2).eval()
    made = replace(origin(builder=Builder("torchvision:resnet18", {"num_classes": 2})), input_shape=(3, 224, 224))
    return Component(network, classes=["a", "b"], labels=[0, 1], origin=made)


def test_a_light_component_is_not_asked_without_memory_first(tmp_path, monkeypatch):
    folder = save(resnet(), tmp_path / "part")
    assert read_json(folder)["probe"]["shape"] == [3, 64, 64]
    monkeypatch.setattr(asking, "logits_given", None)
    load(folder)


def test_a_component_that_would_be_heavy_on_its_own_images_is_refused(tmp_path):
    folder = save(resnet(), tmp_path / "part")
    raw = read_json(folder)
    raw["parts"][0]["origin"]["input_shape"] = [3, 20_000, 20_000]
    write_json(folder, raw)
    with pytest.raises(CorruptComponent, match="far more memory than its file"):
        load(folder)


def test_an_image_of_the_probe_that_is_enormous_is_refused(tmp_path):
    folder = save(resnet(), tmp_path / "part")
    raw = read_json(folder)
    raw["probe"]["shape"] = [3, 20_000, 20_000]
    write_json(folder, raw)
    with pytest.raises(CorruptComponent, match="far more memory than its file"):
        load(folder)

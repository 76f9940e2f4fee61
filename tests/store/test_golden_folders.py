"""Folders that earlier versions saved: each kind still loads and gives the logits that it gave when it was saved."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.models import build, load_weights

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = sorted(GOLDEN.glob("schema-*"))
PARTS = [
    folder.parent for folder in sorted(GOLDEN.glob("schema-*/*/model.safetensors")) if folder.parent.name != "trained"
]


def named(folder):
    return f"{folder.parent.name}/{folder.name}" if folder.parent != GOLDEN else folder.name


def waves(shape):
    """Four images in 0..1 that need no file and no random numbers."""
    size = torch.Size((4, *shape))
    return torch.linspace(0, 60, size.numel()).sin().add(1).div(2).reshape(size)


@pytest.mark.parametrize("folder", PARTS, ids=named)
def test_a_part_of_an_earlier_version_gives_the_logits_that_it_gave(folder):
    part = ml.load(folder)
    expected = torch.tensor(json.loads((folder.parent / "logits.json").read_text(encoding="utf-8"))[folder.name])
    with torch.no_grad():
        logits = part(waves((1, 28, 28)))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert len(part.classes) == expected.shape[1]


@pytest.mark.parametrize("folder", PARTS, ids=named)
def test_a_part_of_an_earlier_version_can_be_saved_anew(folder, tmp_path):
    part = ml.load(folder)
    ml.save(part, tmp_path / "again")
    again = ml.load(tmp_path / "again")
    images = waves((1, 28, 28))
    with torch.no_grad():
        assert torch.equal(again(images), part(images))
    assert str(again) == str(part)


@pytest.mark.parametrize("schema", SCHEMAS, ids=named)
def test_statistics_of_an_earlier_version_locate_the_channels_that_they_located(schema):
    weights = json.loads((schema / "statistics-network.json").read_text(encoding="utf-8"))
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 3),
    ).eval()  # fmt: skip
    network.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
    graph = ml.trace(network, waves((1, 10, 10))[:2])
    selection = ml.locate(graph, ml.load_statistics(schema / "statistics"), classes=[2])
    assert selection.keep.int().tolist() == json.loads((schema / "statistics-kept.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("schema", SCHEMAS, ids=named)
def test_a_trained_network_of_an_earlier_version_opens(schema):
    network = build("zoo:lenet5", num_classes=10)
    load_weights(network, schema / "trained" / "model.safetensors")
    assert network(waves((1, 28, 28))).shape == (4, 10)

"""Folders that earlier versions saved: each kind still loads and gives the logits that it gave when it was saved."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.digest import unpacked
from model_lego.models import build, load_weights
from model_lego.parts.join_record import (
    Calibration,
    CrossValidation,
    FactorRange,
    HeadState,
    JoinCheck,
    Outsiders,
)
from model_lego.parts.provenance import Provenance
from model_lego.store import inspect

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = sorted(GOLDEN.glob("schema-*"))
PARTS = [
    folder.parent for folder in sorted(GOLDEN.glob("schema-*/*/model.safetensors")) if folder.parent.name != "trained"
]


#: How the components take their images that do not take them as they are.
TAKEN = {
    "component-resized": ml.Preprocessing(mean=0.25, std=0.5, size=28),
    "component-cropped": ml.Preprocessing(mean=0.25, std=0.5, size=32, crop=28, interpolation="bicubic"),
}


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


@pytest.mark.parametrize("folder", [folder for folder in PARTS if folder.name in TAKEN], ids=named)
def test_a_component_of_an_earlier_version_takes_images_as_it_took_them(folder):
    part, images = ml.load(folder), waves((1, 40, 60))
    assert part.preprocessing == TAKEN[folder.name]
    with torch.no_grad():
        assert torch.equal(part(images), part.module(TAKEN[folder.name](images)))


#: What each assembly was when it was saved: the state of its head, and some fields of its record.
RECORDS = {
    "assembly-bare": (HeadState.SIDE_BY_SIDE, {"check": JoinCheck(2, 0.0, 2.2590794563293457), "outsiders": None}),
    "assembly-calibrated": (
        HeadState.FITTED,
        {
            "calibration": Calibration(250, "classes"),
            "cross_validation": CrossValidation(
                {"concat": 93.6, "affine": 95.2, "ridge": 95.2, "lda": 94.8, "blend": 95.6},
                folds=5,
                strength={"affine": 0.01, "ridge": 0.1, "factor": 8.0},
            ),
            "outsiders": Outsiders(0.05, 4.08344531383412),
        },
    ),
    "assembly-carried": (
        HeadState.CARRIED,
        {"calibration": None, "outsiders": Outsiders(0.05, 4.08344531383412), "cross_validation": None},
    ),
    "assembly-clash": (HeadState.SIDE_BY_SIDE, {"on_clash": "average", "one_source": ((2, 3),)}),
    "assembly-grouped": (HeadState.SIDE_BY_SIDE, {"rejecting": (), "scaling": None}),
    "assembly-nested": (HeadState.SIDE_BY_SIDE, {"rejecting": (), "scaling": None}),
    "assembly-padded": (HeadState.SIDE_BY_SIDE, {"one_source": (), "scaling": None}),
    "assembly-scaled": (
        HeadState.FITTED,
        {"scaling": "logit", "factors": FactorRange(0.09276160539176832, 0.17208354202557663, ())},
    ),
}


@pytest.mark.parametrize("folder", [folder for folder in PARTS if folder.name.startswith("assembly")], ids=named)
def test_an_assembly_of_an_earlier_version_tells_how_it_was_put_together(folder):
    record = ml.load(folder).record
    state, told = RECORDS[folder.name]
    assert (record.head_state, {name: getattr(record, name) for name in told}) == (state, told)
    digests = unpacked(record.calibration_digests)
    assert len(digests) == (0 if state == HeadState.SIDE_BY_SIDE else 250)


def test_a_part_remembers_whose_weights_it_has():
    said = ml.load(GOLDEN / "schema-5" / "component").origin.provenance
    assert (said.licences, said.revisions, said.data) == (("apache-2.0",), ("2026-11",), ("digits",))
    assert ml.load(GOLDEN / "schema-4" / "component").origin.provenance == Provenance()


def test_a_component_has_the_same_digest_alone_and_in_an_assembly():
    alone = inspect(GOLDEN / "schema-5" / "component", check_weights=True)
    inside = inspect(GOLDEN / "schema-5" / "assembly-nested", check_weights=True)
    assert alone.parts[0].digest == alone.weights.sha256
    assert [part.digest == alone.weights.sha256 for part in inside.parts] == [True, False, True]


@pytest.mark.parametrize("folder", sorted((GOLDEN / "schema-1").glob("assembly-*")), ids=named)
def test_the_settings_of_an_earlier_version_are_told_as_they_were(folder):
    saved = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["assembly"]["settings"]
    assert ml.load(folder).settings == saved


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


@pytest.mark.parametrize("folder", sorted(GOLDEN.glob("schema-*/trained")), ids=named)
def test_a_trained_network_of_an_earlier_version_opens(folder):
    network = build("zoo:lenet5", num_classes=10)
    load_weights(network, folder / "model.safetensors")
    assert network(waves((1, 28, 28))).shape == (4, 10)

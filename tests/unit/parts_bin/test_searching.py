"""What is asked of parts, and which of them fit."""

import dataclasses
import json

import pytest

from model_lego.errors import BadConfig
from model_lego.parts_bin import searching
from model_lego.parts_bin.binned import BinnedPart
from model_lego.parts_bin.searching import bin_search

PARTS = (
    BinnedPart("broken", "0" * 16, None, broken="its weights are gone"),
    BinnedPart(
        "pets",
        "1" * 64,
        None,
        "component",
        ("Tabby cat", "dog"),
        sources=("torchvision:resnet50.V2",),
        source_digests=("abc1",),
        parameters=1000,
        macs=5000,
        bytes=4100,
        accuracy=91.5,
        licence="apache-2.0",
    ),
    BinnedPart(
        "zoo",
        "2" * 64,
        None,
        "assembly",
        ("animal",),
        ("dog", "emu"),
        ("timm:vit", ""),
        ("def2", ""),
        2000,
        9000,
        8200,
        accuracy=80.0,
        licence="MIT",
    ),
)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(searching, "indexed", lambda folder, progress: PARTS)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["broken", "pets", "zoo"]),
        ({"text": "PET"}, ["pets"]),
        ({"text": "tabby"}, ["pets"]),
        ({"text": "vit"}, ["zoo"]),
        ({"text": "pets@11"}, ["pets"]),
        ({"classes": ["dog"]}, ["pets", "zoo"]),
        ({"classes": ["DOG", "*cat"]}, ["pets"]),
        ({"classes": ["cat"]}, []),
        ({"classes": ["emu"]}, ["zoo"]),
        ({"source": "ResNet50"}, ["pets"]),
        ({"source": "def"}, ["zoo"]),
        ({"licence": "mit"}, ["zoo"]),
        ({"within": {"parameters": 1000}}, ["pets"]),
        ({"within": {"parameters": 1e9, "macs": 8999}}, ["pets"]),
        ({"within": {"bytes": 4099}}, []),
        ({"accuracy": 80}, ["pets", "zoo"]),
        ({"accuracy": 80.1}, ["pets"]),
        ({"text": "p", "accuracy": 0, "licence": "apache"}, ["pets"]),
    ],
)
def test_what_fits(asked, names):
    assert [part.name for part in bin_search(**asked)] == names


def test_a_size_that_no_part_has_is_refused():
    with pytest.raises(BadConfig, match="'params' is no size of a part; use parameters, macs, bytes"):
        bin_search(within={"params": 3})


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_part_is_the_same_after_its_facts(part, tmp_path):
    here = dataclasses.replace(part, folder=tmp_path)
    assert BinnedPart.from_facts(json.loads(json.dumps(here.facts())), tmp_path) == here

"""docs/format.md is enough to read a part: a reader that was written by it gives the same logits, bit for bit."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import model_lego as ml
from model_lego.parts.assembly import Assembly, Head
from model_lego.store import load, save
from tests.store.test_golden_folders import PARTS, named, waves
from tests.support import second_reader
from tests.support.handmade_parts import (
    Tiny,
    images,
    read_json,
    reading_assembly,
    tiny_assembly,
    tiny_component,
    write_json,
)

CODE = Path(second_reader.__file__).read_text(encoding="utf-8")


def agree(folder, given, factory=None):
    """Whether both readers give the same for images, under the same names."""
    ours = load(folder, factory=factory)
    theirs = second_reader.read(folder, factory and (lambda _: factory()))
    with torch.no_grad():
        return list(ours.classes) == theirs.classes and torch.equal(ours(given), theirs(given))


@pytest.mark.parametrize("folder", PARTS, ids=named)
def test_every_golden_folder_is_read_alike(folder):
    assert agree(folder, waves((1, 28, 28)))


@pytest.mark.parametrize("folder", [each for each in PARTS if read_json(each)["parts"][0]["preprocessing"]], ids=named)
def test_images_of_other_sizes_and_of_bytes_are_taken_alike(folder):
    assert agree(folder, waves((1, 40, 61)))
    assert agree(folder, waves((1, 61, 40)).mul(255).to(torch.uint8))


def nested() -> Assembly:
    """An assembly of one whose head reads features and tells outsiders apart, and of a component, with a group."""
    parts = [reading_assembly(), tiny_component(seed=3, classes=("cow", "ant"))]
    terms, classes = ("bee", "dog", "elk", "fox", "cow", "ant"), ("ant", "pet", "cow", "elk", "fox")
    return Assembly(
        parts,
        layout="parallel",
        classes=classes,
        head=Head.identity(len(terms)),
        terms=terms,
        groups={"pet": ("bee", "dog")},
    ).eval()


@pytest.mark.parametrize("make", [tiny_component, tiny_assembly, reading_assembly, nested])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_tied_dropped_and_swapped_tensors_heads_and_nesting_are_read_alike(make, layout, tmp_path):
    folder = save(make().to(memory_format=layout), tmp_path / "part")
    assert agree(folder, images(), factory=Tiny)


def computing() -> nn.Module:
    torch.manual_seed(0)
    layers = [weight_norm(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    return nn.Sequential(*layers).eval()


def test_layers_that_were_made_plain_are_read_alike(tmp_path):
    network = ml.canonize(computing(), images())
    labelled = [(images(), torch.tensor([0, 1, 2]))]
    part = ml.cut(network, ml.plan(network, labelled, classes=[0, 2], budget=ml.Budget(params=0.6)))
    assert part.origin.settings["plain_layers"]
    assert agree(save(part, tmp_path / "part"), images(), factory=computing)


def test_other_weights_and_newer_schemas_are_refused(tmp_path):
    folder = save(tiny_component(), tmp_path / "part")
    manifest = read_json(folder)
    write_json(folder, manifest | {"schema": manifest["schema"] + 1})
    with pytest.raises(ValueError, match="schema 7"):
        second_reader.read(folder)
    write_json(folder, manifest | {"weights": manifest["weights"] | {"sha256": "0" * 64}})
    with pytest.raises(ValueError, match="not those of the manifest"):
        second_reader.read(folder)


def test_it_is_short_and_knows_nothing_of_the_library():
    assert sum(bool(line.strip()) for line in CODE.splitlines()) <= 155
    imports = [node for node in ast.walk(ast.parse(CODE)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    known = {"hashlib", "json", "pathlib", "safetensors", "timm", "torch", "torchvision", "transformers"}
    assert {name.partition(".")[0] for name in names} == known

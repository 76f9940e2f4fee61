import os
import stat

import pytest
import safetensors.torch
import torch
from torch import nn

from model_lego.errors import BadConfig, CannotWrite, OutputExists
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store import load, save, saving, swapping
from model_lego.store.card import card
from model_lego.store.files import record_of_bytes
from model_lego.store.records import manifest_of
from model_lego.store.tensors import named_tensors, split_aliases
from tests.support.handmade_parts import Tiny, origin, read_json, tiny_assembly, tiny_component, write_json


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def linear(settings=None, **fields):
    return Component(nn.Linear(2, 1), classes=["a"], labels=[0], origin=origin(settings=settings, **fields))


@pytest.mark.parametrize("make", [tiny_component, tiny_assembly])
def test_two_saves_give_the_same_bytes(tmp_path, make):
    save(make(), tmp_path / "one")
    save(make(), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 3


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path):
    save(tiny_component(), tmp_path / "one")
    save(load(tmp_path / "one", factory=Tiny), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_golden_bytes_of_the_weights(tmp_path):
    part = linear()
    part.module.weight.data, part.module.bias.data = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])
    save(part, tmp_path / "part")
    header = (
        b'{"__metadata__":{"format":"pt"},"module.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"module.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}'
    )
    header += b" " * (-len(header) % 8)
    values = bytes.fromhex("00004040 0000803f 00000040")
    told = len(header).to_bytes(8, "little") + header + values
    assert (tmp_path / "part" / "model.safetensors").read_bytes() == told


def test_golden_keys_of_the_manifest(tmp_path):
    save(tiny_assembly(), tmp_path / "all")
    manifest = read_json(tmp_path / "all")
    assert list(manifest) == sorted(
        ["format", "schema", "kind", "parts", "assembly", "tensors", "aliases", "weights", "versions", "probe"]
    )
    assert (manifest["format"], manifest["schema"], manifest["kind"]) == ("model-lego", 6, "assembly")
    assert sorted(manifest["parts"][0]) == sorted(
        ["classes", "digest", "labels", "memory_format", "origin", "preprocessing", "verdict"]
    )
    assert sorted(manifest["parts"][0]["origin"]) == sorted(
        [
            "builder",
            "source_digest",
            "source_classes",
            "input_shape",
            "kept_outputs",
            "kept_inputs",
            "attributes",
            "settings",
            "cost_before",
            "cost_after",
            "provenance",
        ]
    )
    assert manifest["assembly"] == {
        "layout": "parallel",
        "classes": ["bee", "dog", "elk", "fox"],
        "terms": ["bee", "dog", "elk", "fox"],
        "groups": {},
        "made_of": [0, 1],
        "head": "ridge",
        "head_reads": [],
        "joined": {
            "head_state": "fitted",
            "scaling": "layer",
            "on_clash": "error",
            "seed": 7,
            "one_source": [],
            "rejecting": [],
            "check": None,
            "calibration": None,
            "calibration_digests": "",
            "cross_validation": None,
            "factors": None,
            "outsiders": None,
            "finetuned": [],
            "distilled": [],
            "verdict": None,
            "provenance": {"licences": [], "revisions": [], "data": []},
        },
    }
    assert manifest["tensors"]["parts.1.module.conv.weight"] == {"dtype": "float32", "shape": [5, 3, 3, 3]}
    assert manifest["tensors"]["head.shift"] == {"dtype": "float32", "shape": [4]}
    assert sorted(manifest["versions"]) == ["model-lego", "safetensors", "torch", "torchvision"]


def test_the_card_tells_what_is_in_the_folder():
    part = linear({"alpha": 0.25}, builder=Builder("zoo:lenet"))
    part.classes = ("a|b\n# <i>c</i> `d`",)
    manifest = manifest_of(part, *split_aliases(named_tensors(part)), record_of_bytes(b"some weights of 100 bytes"))
    text = card(manifest)
    assert "| a&#124;b # &lt;i>c&lt;/i> 'd' | 0 |" in text
    assert "| parameters | 500 | 200 |" in text
    assert '"alpha": 0.25' in text
    assert "`zoo:lenet`" in text
    assert manifest.weights.sha256 in text


def test_an_existing_folder_is_left_alone(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    before = contents(tmp_path)
    with pytest.raises(OutputExists, match="overwrite=True"):
        save(linear(), tmp_path / "pets")
    assert contents(tmp_path) == before


def test_overwriting_replaces_the_whole_folder(tmp_path):
    save(tiny_component(), tmp_path / "pets")
    save(linear(), tmp_path / "pets", overwrite=True)
    save(linear(), tmp_path / "new", overwrite=True)
    assert load(tmp_path / "pets", factory=lambda: nn.Linear(2, 1)).classes == ("a",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "pets"]


def no_manifest(folder):
    (folder / "manifest.json").unlink()


def empty_manifest(folder):
    (folder / "manifest.json").write_text("{}")


def newer_manifest(folder):
    write_json(folder, read_json(folder) | {"schema": 99})


def photo_beside(folder):
    (folder / "photo.png").write_text("dear to me")


def other_weights(folder):
    (folder / "model.safetensors").write_text("dear to me")


def linked_weights(folder):
    (folder / "model.safetensors").rename(folder.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent / "elsewhere")


def folder_for_a_card(folder):
    (folder / "README.md").unlink()
    (folder / "README.md").mkdir()
    (folder / "README.md" / "photo.png").write_text("dear to me")


@pytest.mark.parametrize(
    ("make_mine", "words"),
    [
        (no_manifest, "no saved part .*manifest.json is missing"),
        (empty_manifest, "no saved part .*no schema number"),
        (newer_manifest, "no saved part .*schema 99"),
        (photo_beside, "does not name, 'photo.png'"),
        (other_weights, "does not name, 'model.safetensors'"),
        (linked_weights, "does not name, 'model.safetensors'"),
        (folder_for_a_card, "does not name, 'README.md'"),
    ],
)
def test_overwriting_never_throws_away_files_of_others(tmp_path, make_mine, words):
    folder = save(tiny_component(), tmp_path / "mine")
    make_mine(folder)
    before = contents(tmp_path)
    with pytest.raises(OutputExists, match=words):
        save(linear(), folder, overwrite=True)
    assert contents(tmp_path) == before


def test_a_file_in_the_way_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("dear to me")
    with pytest.raises(OutputExists):
        save(linear(), tmp_path / "file", overwrite=True)
    with pytest.raises(CannotWrite, match="is a file"):
        save(linear(), tmp_path / "file" / "part")
    assert contents(tmp_path) == {(tmp_path / "file").relative_to(tmp_path): b"dear to me"}


def torn_weights(tensors, path, metadata):
    path.write_text("half of it")
    raise OSError("disk full")


def interrupt(*_, **__):
    raise KeyboardInterrupt


BREAKS = [
    pytest.param((safetensors.torch, "save_file", torn_weights, OSError), id="weights"),
    pytest.param((saving, "manifest_of", interrupt, KeyboardInterrupt), id="manifest"),
    pytest.param((saving, "card", interrupt, KeyboardInterrupt), id="card"),
]


@pytest.mark.parametrize("spot", BREAKS)
def test_an_interrupted_save_leaves_nothing_behind(tmp_path, monkeypatch, spot):
    where, name, broken, error = spot
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(error):
        save(linear(), tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spot", BREAKS)
def test_an_interrupted_overwrite_leaves_the_old_one(tmp_path, monkeypatch, spot):
    save(tiny_component(), tmp_path / "part")
    before = contents(tmp_path)
    where, name, broken, error = spot
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(error):
        save(linear(), tmp_path / "part", overwrite=True)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failing_swap_brings_the_old_one_back(tmp_path, monkeypatch, failing):
    save(tiny_component(), tmp_path / "part")
    monkeypatch.setattr(swapping, "exchanged", lambda *_: False)
    before, rename, calls = contents(tmp_path), swapping.Path.rename, []

    def flaky(self, target):
        calls.append(self)
        if len(calls) == failing + 1:
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(swapping.Path, "rename", flaky)
    with pytest.raises(OSError, match="no"):
        save(linear(), tmp_path / "part", overwrite=True)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_a_folder_that_appears_while_saving_is_left_alone(tmp_path, monkeypatch):
    real = saving.card
    monkeypatch.setattr(saving, "card", lambda manifest: (tmp_path / "part").mkdir() or real(manifest))
    with pytest.raises(OutputExists):
        save(linear(), tmp_path / "part")
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")
def test_the_folder_and_its_files_have_ordinary_permissions(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain.txt").touch()
    save(linear(), tmp_path / "deep" / "er" / "part")
    mode = stat.S_IMODE((tmp_path / "deep" / "er" / "part").stat().st_mode)
    assert mode == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep" / "er" / "part").iterdir()}
    assert modes == {stat.S_IMODE((tmp_path / "plain.txt").stat().st_mode)}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (linear({"rate": float("nan")}), "not JSON compliant"),
        (linear({"module": nn.Linear(1, 1)}), "not JSON serializable"),
        (linear({"classes": {1: "a"}}), "text keys"),
        (linear(builder=Builder("my.module:build")), r"parts.0.origin.builder.name"),
        (linear(builder=Builder("torchvision:vgg11", {"weights": "DEFAULT"})), "weights would fetch"),
        (nn.Linear(1, 1), "not a Linear"),
    ],
    ids=["nan", "object", "keys", "builder", "weights", "module"],
)
def test_what_cannot_be_written_is_refused(tmp_path, part, words):
    with pytest.raises(BadConfig, match=words):
        save(part, tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


def test_a_data_type_without_a_place_in_the_file_is_refused(tmp_path):
    part = linear()
    part.module.bias.data = torch.zeros(1, dtype=torch.complex128)
    with pytest.raises(BadConfig, match="complex128"):
        save(part, tmp_path / "part")
    assert list(tmp_path.iterdir()) == []

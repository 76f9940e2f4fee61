import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from torch import nn

from model_lego.errors import BadConfig, CorruptComponent, SchemaTooNew
from model_lego.parts.component import Component
from model_lego.parts.origin import Builder
from model_lego.store import inspect, load, manifest_text, save
from tests.support.handmade_parts import (
    Tiny,
    origin,
    read_json,
    reading_assembly,
    reseal,
    tiny_assembly,
    tiny_component,
    write_json,
)

ORIGIN = ("parts", 0, "origin")


@pytest.fixture
def saved(tmp_path):
    return save(tiny_component(), tmp_path / "pets")


@pytest.fixture
def assembled(tmp_path):
    return save(tiny_assembly(), tmp_path / "all")


def refused(folder, words, factory=Tiny):
    with pytest.raises(CorruptComponent, match=words):
        load(folder, factory=factory)


def edit(folder, path, value):
    """Set the value at `path` of the manifest."""
    raw = read_json(folder)
    at = raw
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    write_json(folder, raw)


def test_a_flipped_bit_anywhere_in_the_weights(saved):
    weights = saved / "model.safetensors"
    whole = weights.read_bytes()
    for position in (0, 9, len(whole) // 2, len(whole) - 1):
        weights.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        refused(saved, "sha256 differs")
        with pytest.raises(CorruptComponent, match="sha256 differs"):
            inspect(saved, check_weights=True)
        assert inspect(saved).kind == "component"


@pytest.mark.parametrize("length", [0, 1, 100])
def test_truncated_weights(saved, length):
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:length])
    refused(saved, "bytes, but the manifest says")


def test_weights_that_are_no_safetensors_though_the_digest_fits(saved):
    data = b"\xff" * 200_000
    (saved / "model.safetensors").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit(saved, ("weights",), {"file": "model.safetensors", "bytes": len(data), "sha256": digest})
    edit(saved, ("parts", 0, "digest"), digest)
    refused(saved, "not a safetensors file")


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors"])
def test_missing_and_linked_files(saved, tmp_path, name):
    elsewhere = tmp_path / name
    shutil.move(saved / name, elsewhere)
    refused(saved, f"{name} is missing")
    (saved / name).symlink_to(elsewhere)
    refused(saved, "symbolic link")
    (saved / name).unlink()
    (saved / name).mkdir()
    refused(saved, f"{name} is missing")


def test_no_folder_at_all(tmp_path):
    refused(tmp_path / "nothing", "is not a folder")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "is not a folder")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"schema": NaN}', "NaN"),
        (b'{"schema": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b"[]", "no schema number"),
        (b"{}", "no schema number"),
        (b'{"schema": true}', "no schema number"),
        (b'{"schema": "1"}', "no schema number"),
        (b'{"schema": 0}', "never was one"),
        (b'{"schema": 1}', "Field required"),
        (b'{"schema": 1, "assembly": [7]}', "Field required"),
        (b'{"schema": 2}', "Field required"),
        (b'{"schema": 2, "format": "\\ud800"}', "manifest.json"),
        (b'{"schema": 2, "format": 1e999}', "manifest.json"),
    ],
)
def test_manifests_that_are_none(saved, text, words):
    (saved / "manifest.json").write_bytes(text)
    refused(saved, words)


def test_a_manifest_too_large_to_be_one(saved):
    with (saved / "manifest.json").open("r+b") as file:
        file.truncate(32 * 2**20 + 1)  # sparse: takes no room on the disk
    refused(saved, "larger than 33,554,432 bytes")


def test_a_newer_schema_is_named(saved):
    edit(saved, ("schema",), 7)
    with pytest.raises(SchemaTooNew, match=r"schema 7, .* up to 6: install a newer"):
        load(saved, factory=Tiny)


def test_an_older_schema_is_migrated(saved, monkeypatch):
    raw = read_json(saved) | {"schema": 0}
    raw["sort"] = raw.pop("kind")
    write_json(saved, raw)
    rename = {0: lambda old: {("kind" if key == "sort" else key): value for key, value in old.items()}}
    monkeypatch.setattr(manifest_text, "MIGRATIONS", {**manifest_text.MIGRATIONS, **rename})
    assert load(saved, factory=Tiny).classes == ("bee", "dog")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("surprise",), 1, "surprise: Extra inputs"),
        ((*ORIGIN, "surprise"), 1, "surprise: Extra inputs"),
        (("kind",), "assembly", "'assembly' says otherwise"),
        (("parts",), [], "parts: "),
        (("parts", 0, "labels"), [1], "2 classes but 1 labels"),
        (("parts", 0, "labels"), [1, 3.0], "labels.1"),
        (("parts", 0, "classes"), "ab", "classes"),
        (("parts", 0, "classes"), ["bee", "bee"], "parts.0.classes: two classes have the same name, 'bee'"),
        (("parts", 0, "classes"), ["bee", " "], "parts.0.classes: class 2 of 2 has an empty name"),
        (("parts", 0, "preprocessing", "std"), [1.0, 1.0], "3 means but 2"),
        (("parts", 0, "preprocessing", "std"), [1.0, 1.0, 0.0], "not positive"),
        (("parts", 0, "preprocessing", "size"), [10**10, 10**10], "size"),
        (("parts", 0, "preprocessing", "crop"), [9, 9], "crops"),
        (("parts", 0, "preprocessing", "crop"), 9, "crop"),
        (("parts", 0, "preprocessing", "interpolation"), "lanczos", "interpolation"),
        (("weights", "file"), "../elsewhere.safetensors", "weights.file"),
        (("weights", "file"), "/model.safetensors", "weights.file"),
        (("weights", "sha256"), "0" * 64, "a component's digest is the sha256 of its weights"),
        (("weights", "sha256"), "", "weights.sha256"),
        (("weights", "bytes"), 10**15, "bytes, but the manifest says"),
        (("tensors", "module.head.bias", "shape"), [10**18], "the tensors need"),
        (("tensors", "module.head.bias", "shape"), [1], "the manifest says"),
        (("tensors", "module.head.bias", "dtype"), "int32", "the manifest says"),
        (("tensors", "module.head.bias", "dtype"), "os", "tensors of type os"),
        (("tensors", "module.extra"), {"dtype": "uint8", "shape": [0]}, r"missing tensors \['module.extra'\]"),
        (("aliases", "module.extra"), "module.nothing", "of no tensor: module.nothing"),
        (("aliases", "module.head.bias"), "module.head.weight", "aliases that are tensors"),
        (("aliases", "module.extra"), "module.head.bias", r"unexpected tensors \['module.extra'\]"),
        (("aliases",), {}, "missing tensors"),
        ((*ORIGIN, "builder"), {"name": "os:system", "arguments": {}}, "builder.name"),
        ((*ORIGIN, "builder"), {"name": "zoo:lenet\nx", "arguments": {}}, "builder.name"),
        ((*ORIGIN, "builder"), {"name": "timm:hf-hub:a/b", "arguments": {}}, "builder.name"),
        ((*ORIGIN, "builder"), {"name": "timm:resnet18", "arguments": {"pretrained": True}}, "would fetch"),
        ((*ORIGIN, "attributes", "conv", "out_channels"), -1, "out_channels"),
        ((*ORIGIN, "attributes", "conv", "out_channels"), True, "out_channels"),
        ((*ORIGIN, "attributes", "conv", "forward"), 1, "no attribute 'forward'"),
        ((*ORIGIN, "attributes", "conv", "__class__"), 1, "no attribute '__class__'"),
        ((*ORIGIN, "attributes", "conv", "_parameters"), 1, "cannot replace"),
        ((*ORIGIN, "attributes", "conv", "kernel_size"), 1, "cannot replace"),
        ((*ORIGIN, "attributes", "nowhere"), {"out_channels": 1}, "layer 'nowhere'"),
        ((*ORIGIN, "attributes", ""), {"use_aux": 2}, "cannot replace"),
        ((*ORIGIN, "settings", "dropped_modules"), ["nowhere.aux"], "'nowhere.aux', which the uncut"),
        ((*ORIGIN, "settings", "dropped_modules"), ["forward"], "'forward', which the uncut"),
        ((*ORIGIN, "settings", "dropped_modules"), "aux", "not a list"),
        ((*ORIGIN, "settings", "dropped_modules"), [], r"missing tensors \['module.aux.bias', 'module.aux.weight'\]"),
        ((*ORIGIN, "settings", "dropped_modules"), ["aux", "gain"], "'gain', which the uncut"),
        ((*ORIGIN, "settings", "dropped_modules"), ["aux", "again"], r"unexpected tensors \['module.again.bias'"),
    ],
)
def test_an_edited_manifest(saved, path, value, words):
    edit(saved, path, value)
    refused(saved, words)


def test_many_complaints_are_cut_short(saved):
    write_json(saved, {"schema": 2, **{f"k{number}": 1 for number in range(50)}})
    with pytest.raises(CorruptComponent, match=r"and \d+ more$") as caught:
        load(saved)
    assert len(str(caught.value)) < 600


def test_extra_and_missing_tensors_in_a_resealed_file(saved):
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    reseal(saved, tensors | {"module.evil": torch.zeros(1)}, describe=False)
    refused(saved, r"does not fit its manifest: .*unexpected tensors \['module.evil'\]")
    reseal(saved, tensors | {"module.evil": torch.zeros(1)})
    refused(saved, r"does not fit its network: .*unexpected tensors \['module.evil'\]")
    reseal(saved, tensors | {"module.forward": torch.zeros(1), "module.conv.out_channels": torch.zeros(1)})
    refused(saved, r"unexpected tensors \['module.conv.out_channels', 'module.forward'\]")
    less = {name: one for name, one in tensors.items() if name != "module.bn.running_var"}
    reseal(saved, less)
    refused(saved, r"missing tensors \['module.bn.running_var'\], unexpected tensors none")


def test_tensors_of_another_type_in_a_resealed_file(saved):
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    reseal(saved, tensors | {"module.head.bias": torch.zeros(2, dtype=torch.int64)}, describe=False)
    refused(saved, "'module.head.bias' is .*int64.* but the manifest says .*float32")


def test_what_the_network_ties_must_be_tied_in_the_file(saved):
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    reseal(saved, tensors | {"module.mix.bias": torch.zeros(5)})
    raw = read_json(saved)
    del raw["aliases"]["module.mix.bias"]
    write_json(saved, raw)
    refused(saved, "'module.again.bias' is one tensor with another")


def test_another_network_than_the_saved_one(saved):
    refused(saved, "'aux', which the uncut network has not", factory=lambda: nn.Linear(2, 2))
    edit(saved, (*ORIGIN, "settings"), {})
    refused(saved, "layer '' of the uncut network has no attribute", factory=lambda: nn.Linear(2, 2))
    edit(saved, (*ORIGIN, "attributes"), {})
    refused(saved, "does not fit its network: missing tensors .*'module.weight'", factory=lambda: nn.Linear(2, 2))


def test_arguments_that_the_builder_refuses(tmp_path, registry):
    part = Component(
        nn.Linear(1, 1),
        classes=["a"],
        labels=[0],
        origin=origin(builder=Builder("torchvision:resnet18", {"no_such_argument": 1})),
    )
    with pytest.raises(BadConfig, match=r"built again by its builder: .*resnet18 .*no_such_argument"):
        save(part, tmp_path / "part")
    assert not (tmp_path / "part").exists()
    part.origin = replace(part.origin, builder=None)
    save(part, tmp_path / "part")
    builder = {"name": "torchvision:resnet18", "arguments": {"no_such_argument": 1}}
    edit(tmp_path / "part", (*ORIGIN, "builder"), builder)
    refused(tmp_path / "part", "torchvision:resnet18 cannot be built with .*no_such_argument", factory=None)
    edit(tmp_path / "part", (*ORIGIN, "builder", "name"), "torchvision:no_such_network")
    refused(tmp_path / "part", "cannot be built", factory=None)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("assembly",), None, "'assembly' says otherwise"),
        (("assembly", "layout"), "padded", "a padded assembly is one network"),
        (("assembly", "layout"), "sideways", "assembly.layout"),
        (("assembly", "classes"), ["a"], "classes are not its terms"),
        (("assembly", "terms"), ["bee", "dog", "elk", "elk"], "terms: two classes have the same name, 'elk'"),
        (("assembly", "classes"), ["bee", "dog", "elk", ""], "assembly.classes: class 4 of 4 has an empty name"),
        (("assembly", "groups"), {"ant": ["bee"]}, "classes are not its terms"),
        (("assembly", "made_of"), [1, 0], "each once and in order"),
        (("assembly", "made_of"), [0, 0], "each once and in order"),
        (("assembly", "made_of"), [0], "2 parts where there must be 1"),
        (("parts", 0, "digest"), "no digest", "parts.0.digest"),
    ],
)
def test_an_edited_assembly(assembled, path, value, words):
    edit(assembled, path, value)
    refused(assembled, words)


def test_a_digest_of_other_weights(saved, assembled):
    edit(saved, ("parts", 0, "digest"), "0" * 64)
    refused(saved, "a component's digest is the sha256 of its weights")
    inspect(assembled, check_weights=True)
    edit(assembled, ("parts", 1, "digest"), "0" * 64)
    with pytest.raises(CorruptComponent, match="part 2 has other weights than its digest tells of"):
        inspect(assembled, check_weights=True)


def test_a_head_that_does_not_fit(assembled):
    tensors = safetensors.torch.load_file(assembled / "model.safetensors")
    reseal(assembled, tensors | {"head.shift": torch.zeros(3)})
    refused(assembled, r"shift \(3,\), which does not fit 4 logits and 4 classes")
    reseal(assembled, tensors | {"head.weight": torch.zeros(4, 3)})
    refused(assembled, "does not fit")


@pytest.mark.parametrize(
    ("reads", "words"),
    [
        ([["head"]], "does not name layers with a weight for each of 2 parts"),
        ([["head"], []], "does not name layers with a weight"),
        ([["head"], ["nose"]], "does not name layers with a weight"),
        ([["head"], ["norm"]], "does not name layers with a weight"),
        ([["head"], [7]], r"assembly\.head_reads\.1\.0: Input should be a valid string"),
        ("head", r"assembly\.head_reads: Input should be a valid"),
        (
            [["head"], ["head", "mix"]],
            r"weight \(5, 10\) and shift \(5,\), which does not fit 15 features and 5 classes",
        ),
        ([], r"does not fit 4 logits and 5 classes"),
    ],
)
def test_what_a_head_reads_has_to_be_there(tmp_path, reads, words):
    folder = save(reading_assembly(), tmp_path / "all")
    edit(folder, ("assembly", "head_reads"), reads)
    refused(folder, words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "head_state",
            "no calibration images",
            "joined.head_state: Input should be 'fitted', 'carried' or 'side by side'",
        ),
        ("on_clash", "guess", "joined.on_clash: Input should be 'error', 'prefer' or 'average'"),
        ("seed", "7", "joined.seed: Input should be a valid integer"),
        ("outsiders", {"share": 0.1}, "joined.outsiders.threshold: Field required"),
        ("outsiders", {"share": 0.1, "threshold": 1, "sort": 2}, "joined.outsiders.sort: Unexpected"),
        ("mood", 1, "joined.mood: Unexpected"),
    ],
)
def test_how_an_assembly_was_put_together_is_told_exactly(tmp_path, name, value, words):
    folder = save(reading_assembly(), tmp_path / "all")
    edit(folder, ("assembly", "joined", name), value)
    refused(folder, words)


def test_what_the_head_was_made_for_has_to_be_told(tmp_path):
    folder = save(reading_assembly(), tmp_path / "all")
    raw = read_json(folder)
    del raw["assembly"]["joined"]["head_state"]
    write_json(folder, raw)
    refused(folder, "joined.head_state: Field required")


def test_a_manifest_is_one_json_object_with_sorted_keys(saved):
    text = (saved / "manifest.json").read_text()
    assert json.dumps(json.loads(text)) == json.dumps(json.loads(text), sort_keys=True)
    assert max(map(len, text.splitlines())) <= 120


def test_only_the_part_that_is_meant_is_loaded(saved):
    digest = hashlib.sha256((saved / "manifest.json").read_bytes()).hexdigest()
    assert load(saved, factory=Tiny, sha256=digest.upper()).classes == ("bee", "dog")
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    reseal(saved, tensors | {"module.head.bias": torch.ones(2)})
    with pytest.raises(CorruptComponent, match=f"not {digest}: it is not the part that is meant"):
        load(saved, factory=Tiny, sha256=digest)

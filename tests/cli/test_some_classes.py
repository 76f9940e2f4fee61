"""Data that holds some of a network's classes, on the command line."""

import csv
import json

import pytest

from tests.support import wide
from tests.support.squares import CLASSES, NETWORK, run, said

THREE = {"ant": "Ant", "bee": "bee", "dog": "DOG"}
NAMES = ("--source-classes", ",".join(wide.TWELVE))


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """A network of twelve classes and pictures of three of them; one of ImageNet's and pictures of four."""
    root = tmp_path_factory.mktemp("some")
    wide.twelve(root / "twelve.safetensors")
    wide.imagenet(root / "imagenet.safetensors")
    wide.write_folders(root / "three", THREE)
    wide.write_folders(root / "photos", dict(zip(CLASSES, wide.SYNSETS, strict=True)))
    return root


def twelve(some, data="three"):
    return [*NETWORK, "--weights", some / "twelve.safetensors", "--data", some / data]


def imagenet(some, data="photos"):
    return [*NETWORK, "--weights", some / "imagenet.safetensors", "--data", some / data]


@pytest.fixture(scope="module")
def part(some):
    """A component for all the classes of ImageNet that the pictures are of."""
    pytest.importorskip("timm")
    ran = run("disassemble", "--paper", *imagenet(some), "--classes", "all", "--out", some / "part", "--json")
    assert ran.json["classes"] == list(wide.FOUR), ran.err
    return some / "part"


def wrong(*arguments):
    """What a refusal says, after the notes on the data."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (1, ""), ran
    return said(ran.err).rpartition("error: ")[2]


def rows(report):
    return {row["name"]: row for row in report["rows"]}


def test_a_component_is_of_the_classes_that_have_images(some, tmp_path):
    ran = run(
        "disassemble",
        "--paper",
        *twelve(some),
        *NAMES,
        "-c",
        "all",
        "--baselines",
        "--out",
        tmp_path / "part",
        "--json",
    )
    assert ran.json["classes"] == ["bee", "dog", "ant"], ran.err  # in the order of the network's logits
    assert "note: the data has 3 of the 12 classes: 'Ant' is ant (7), 'DOG' is dog (4)" in said(ran.err)
    assert ran.json["counts"] == [10, 10, 10]
    assert {row["accuracy"] for name, row in rows(ran.json).items() if name in ("source", "restricted")} == {100.0}
    assert run("evaluate", tmp_path / "part", "--data", some / "three", "--json").json["counts"] == [10, 10, 10]


def test_the_source_answers_among_all_its_classes_and_restricted_among_the_components(some, tmp_path):
    """A source that takes every image for a class without images is right about none, and restricted about all."""
    import safetensors.torch

    tensors = safetensors.torch.load_file(some / "twelve.safetensors")
    bias = next(name for name, values in tensors.items() if values.shape == (12,))
    tensors[bias][wide.TWELVE.index("yak")] = 1000.0
    safetensors.torch.save_file(tensors, tmp_path / "yak.safetensors")
    source = [*NETWORK, "--weights", tmp_path / "yak.safetensors", "--data", some / "three", *NAMES]
    ran = run(
        "disassemble", *source, "-c", "all", "--sampling", "all", "--baselines", "-o", tmp_path / "part", "--json"
    )
    assert rows(ran.json)["source"]["accuracy"] == 0, ran.err
    assert rows(ran.json)["restricted"]["accuracy"] == 100


@pytest.mark.parametrize("command", ["plan", "attribute", "routes"])
def test_a_class_without_images_is_refused_and_by_default_left_out(some, tmp_path, command):
    given = [*twelve(some), *NAMES, *(["--out", tmp_path / "sums"] if command == "attribute" else [])]
    words = wrong(command, *given, "--classes", "bee,elk,yak")
    assert "2 classes have no sample in the batches: 'elk', 'yak'" in words
    ran = run(command, *given, *(["--classes", "all"] if command == "plan" else []), "--json")
    found = ran.json.get("classes") or ran.json.get("names") or list(ran.json["samples"])
    assert sorted(found) == ["ant", "bee", "dog"], ran.err


def test_a_network_of_all_its_classes_wants_images_of_all(some, tmp_path):
    words = wrong("compress", *twelve(some), *NAMES, "--budget", "macs=0.5", "--out", tmp_path / "less")
    assert "9 classes have no sample in the batches: 'hen', 'elk'" in words


def test_photos_in_folders_of_wordnet_numbers_prove_imagenet(some, part):
    ran = run("plan", "--paper", *imagenet(some), "--classes", "n02979186,Tinca tinca,English_springer,491", "--json")
    assert ran.json["classes"] == ["cassette player", "tench", "English springer", "chain saw"], ran.err
    assert "taken as ImageNet's, by the data's WordNet numbers" in said(ran.err)
    assert "'n02102040' is English springer (217, n02102040)" in said(ran.err)


def test_imagenet_is_a_word_for_its_names(some, tmp_path):
    folders = dict(zip(CLASSES, ("Tench", "english-springer", "482", "Chain_Saw"), strict=True))
    wide.write_folders(tmp_path / "photos", folders, 4)
    source = [*NETWORK, "--weights", some / "imagenet.safetensors", "--data", tmp_path / "photos"]
    ran = run("plan", "--paper", *source, "--source-classes", "imagenet", "--classes", "all", "--json")
    assert ran.json["classes"] == list(wide.FOUR), ran.err
    words = wrong("plan", *source, "--classes", "Tench")
    assert "(--source-classes), 'imagenet' for ImageNet's, or say in a --class-map which number each is" in words


def test_a_saved_part_is_measured_on_the_folders_that_it_was_cut_with(some, part):
    ran = run("evaluate", part, "--data", some / "photos", "--json")
    assert ran.json["counts"] == [10] * 4, ran.err
    source = [word for word in imagenet(some) if word not in ("--data", some / "photos")]
    ran = run("evaluate", part, "--data", some / "photos", "--source", *source, "--json")
    assert {"source", "restricted"} <= set(rows(ran.json)), ran.err
    assert ran.json["counts"] == [10] * 4


def test_a_saved_part_is_measured_on_some_of_its_classes(some, part, tmp_path):
    wide.write_folders(tmp_path / "two", {"ant": "n01440764", "dog": "491"}, 4)
    ran = run("evaluate", part, "--data", tmp_path / "two", "--json")
    assert ran.json["counts"] == [10, 0, 0, 10], ran.err
    page = tmp_path / "page.html"
    assert run("report", part, "--data", tmp_path / "two", "--html", page).code == 0
    assert "Routes of 2 of its 4 classes" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["plan", "finetune", "distill", "assemble", "remove", "add", "report"])
def test_every_command_finds_the_classes_of_a_part(some, part, tmp_path, command):
    other = tmp_path / "other"
    more = {
        "plan": ["--classes", "all"],
        "finetune": ["--epochs", "1"],
        "distill": ["zoo:lenet5", "-a", "image_size=16", "--epochs", "1", "--random-crop", "0", "--no-flip"],
        "assemble": [other],
        "remove": ["--classes", "tench"],
        "add": [other],
        "report": ["--html", tmp_path / "page.html"],
    }[command]
    first = part
    if command in ("assemble", "add"):
        for folder, classes in ((other, "0,482"), (tmp_path / "first", "217,491")):
            ran = run(
                "disassemble", "--paper", *imagenet(some), "--classes", classes, "--repair", "none", "--out", folder
            )
            assert ran.code == 0, ran.err
        first = tmp_path / "first"
    out = [] if command in ("plan", "report") else ["--out", tmp_path / "out"]
    ran = run(command, first, *more, "--data", some / "photos", *out, "--json")
    assert ran.code == 0, ran.err
    assert ran.json


@pytest.mark.parametrize("suffix", [".csv", ".json", ".yaml"])
def test_a_class_map_names_the_classes_of_a_network_without_names(some, tmp_path, suffix):
    file, known = tmp_path / f"map{suffix}", {"Ant": 7, "bee": 1, "DOG": None}
    if suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as opened:
            csv.writer(opened).writerows([("folder", "class"), *known.items()])
    else:
        file.write_text(json.dumps(known), encoding="utf-8")
    given = [*twelve(some), "--class-map", file]
    ran = run("disassemble", "--paper", *given, "-c", "all", "--out", tmp_path / "part", "--json")
    assert ran.json["classes"] == ["bee", "Ant"], ran.err
    assert ran.json["counts"] == [10, 10]
    assert "left out, as the class map says: DOG" in said(ran.err)
    ran = run("evaluate", tmp_path / "part", "--data", some / "three", "--json")
    assert ran.json["counts"] == [10, 10], ran.err


def test_a_class_map_moves_the_classes_of_as_many_folders(world, tmp_path):
    """The data's names are in the way of its order: the file says which logit each has."""
    (tmp_path / "map.json").write_text(json.dumps({"ant": 1, "bee": 0, "cat": 2, "dog": 3}), encoding="utf-8")
    plain = run("plan", "--paper", *world.source(), "--classes", "0", "--json")
    ran = run("plan", "--paper", *world.source(), "--class-map", tmp_path / "map.json", "--classes", "0", "--json")
    assert (plain.json["classes"], ran.json["classes"]) == (["ant"], ["bee"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "the network has 12 classes, but 3 are named (Ant, DOG, bee); name all of them in the order of "
             "its logits (--source-classes), or say in a --class-map which number each is"),
        (("--source-classes", "bee,ant"), "the network has 12 classes, but 2 are named (bee, ant)"),
        (("--source-classes", "imagenet"), "the network has 12 classes, but 1000 are named"),
        (("--source-classes", ",".join((*wide.TWELVE[:-1], "bee"))),
         "two classes of the source have the same name, 'bee'"),
        (("--source-classes", ",".join(("hen", "be", *wide.TWELVE[2:]))),
         "'bee' is no class of the network (near: be)"),
        (("--class-map", "none.csv"), "'none.csv' cannot be read"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_is_refused(some, options, words):
    assert words in wrong("plan", *twelve(some), *options, "--classes", "all")

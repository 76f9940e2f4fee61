"""inspect: one readable screen, made of the manifest; with --json all of it."""

import json
import re

import pytest

from tests.support.squares import CLASSES, run, said


@pytest.fixture
def screen(world):
    """What is shown of a component, or of an assembly with so many parts, whose manifest was changed."""

    def shown(*, parts=0, source_classes=CLASSES, **settings):
        from model_lego.cli.summary import summary
        from model_lego.store.manifest import Manifest
        from model_lego.store.manifest_text import parse_manifest

        raw = json.loads(((world.both if parts else world.one) / "manifest.json").read_text())
        raw["parts"] = [raw["parts"][0]] * parts or raw["parts"]
        if parts:
            raw["assembly"]["made_of"] = list(range(parts))
        raw["parts"][0]["origin"]["settings"] |= settings
        raw["parts"][0]["origin"]["source_classes"] = list(source_classes)
        return summary(parse_manifest(json.dumps(raw).encode(), "manifest.json", Manifest))

    return shown


def test_a_component_is_one_screen(world):
    ran = run("inspect", world.one)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) <= 24
    assert max(map(len, ran.out.splitlines())) <= 80
    for words in (
        "Component for ant, bee",
        "source zoo:lenet5 (image_size=16, num_classes=4, width=0.5), for ant, bee, cat, dog",
        "images 1 x 16 x 16, in 0..1",
        "cut by relevance, alpha 0.3 and beta 0.2 (linear layers 0.4 and 0.3); 24 confident samples a class",
        "repaired ridge, on 48 images",
    ):
        assert words in said(ran.out)
    cost = json.loads((world.one / "manifest.json").read_text())["parts"][0]["origin"]
    for what, field in (("parameters", "parameters"), ("multiply-adds", "macs"), ("bytes", "bytes")):
        before, after = cost["cost_before"][field], cost["cost_after"][field]
        assert f"{what} {after:,} ({100 * after / before:.1f} %); the source has {before:,}" in said(ran.out)


def test_an_assembly_is_one_screen(world):
    ran = run("inspect", world.both)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) <= 40
    for words in ("Assembly for ant, bee, dog, cat", "part 1 for ant, bee", "part 2 for dog, cat", "on 96 images"):
        assert words in said(ran.out)
    assert "accuracy affine" in said(ran.out)


def test_weights_are_held_against_the_manifest_where_that_is_asked_for(world):
    assert "(checked)" not in run("inspect", world.one).out
    assert "(checked)" in run("inspect", world.one, "--check").out


@pytest.mark.parametrize("folder", ["one", "two", "both"])
def test_no_digest_fills_the_screen_and_json_has_everything(world, folder):
    folder = getattr(world, folder)
    shown, whole = run("inspect", folder), run("inspect", folder, "--json")
    assert max(map(len, re.findall(r"\w+", shown.out))) <= 20
    assert whole.json == json.loads((folder / "manifest.json").read_text())


def test_a_united_and_a_padded_part_say_what_they_are(world, tmp_path):
    for command in (
        ["disassemble", "--paper", *world.source(), "--classes", "cat", "--out", tmp_path / "cat", "--repair", "none"],
        ["unite", world.one, tmp_path / "cat", "--out", tmp_path / "united"],
        ["assemble", world.one, world.two, "--layout", "padded", "--out", tmp_path / "padded"],
        ["disassemble", *world.source(), "-c", "0,1", "--budget", "drop=50", "--out", tmp_path / "small"],
    ):
        ran = run(*command)
        assert ran.code == 0, ran.err
    shown = {name: said(run("inspect", tmp_path / name).out) for name in ("cat", "united", "padded", "small")}
    assert "repaired no" in shown["cat"]
    assert "cut united from 2 components of the source: each channel that one of them kept" in shown["united"]
    assert "cut no: its parts stand side by side in it" in shown["padded"]
    assert "cut within accuracy_drop 50 by reconstruction" in shown["small"]
    assert re.search(
        r"accuracy [\d.]+ %, the source 100.00 % \(on \d+ held-out images, while it was cut\)", shown["small"]
    )


def test_what_was_dropped_kept_whole_and_left_alone_is_told(screen):
    repair = {"method": "mean", "images": 5, "left_alone": ["up.0"], "given_biases": [f"layer{n}" for n in range(9)]}
    shown = said(
        screen(
            dropped_modules=["aux1", "aux2"],
            kept_whole=["layer norm (layer 'a')", "layer norm (layer 'a')", "softmax (layer 'b')"],
            repair=repair,
            fallbacks=[1],
            finetuned=[{"epochs": 3, "images": 400}],
        )
    )
    for words in (
        "dropped aux1; aux2",
        "kept whole layer norm (layer 'a'); softmax (layer 'b')",
        "mean, on 5 images; left alone: up.0; given a bias: layer0, layer1, layer2, layer3, … 9 in all",
        "no sample was labelled correctly of classes number 1",
        "fine-tuned 3 epochs on 400 images",
    ):
        assert words in shown


@pytest.mark.parametrize("parts", [0, 1, 2, 3, 12])
def test_however_much_there_is_it_stays_one_screen(screen, parts):
    shown = screen(
        parts=parts,
        source_classes=[f"class number {number}" for number in range(1000)],
        kept_whole=[f"layer norm (layer 'blocks.{number}')" for number in range(200)],
    )
    assert len(shown.splitlines()) <= 60
    assert "class number 9, … 1000 in all" in said(shown) or parts > 3
    assert "… 200 in all" in said(shown) or parts > 3


def test_what_differs_is_a_table_or_json(world):
    ran = run("diff", world.one, world.two)
    assert (ran.code, ran.err) == (0, "")
    assert "parts.1.classes" in ran.out
    found = {each["place"]: (each["one"], each["other"]) for each in run("diff", world.one, world.two, "--json").json}
    assert found["parts.1.classes"] == ('["ant", "bee"]', '["dog", "cat"]')
    assert run("diff", world.one, world.one).out == "nothing differs\n"
    assert run("diff", world.one, world.data).code == 1

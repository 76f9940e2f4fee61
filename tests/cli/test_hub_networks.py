"""Networks of transformers in a folder, from the command line: each command that takes a network or a part, offline."""

import json

import pytest
from PIL import Image

from model_lego.cli.commands import COMMANDS
from tests.support.caches import only_caches
from tests.support.hub_folders import NAMES, NETWORKS, SIDE, write
from tests.support.squares import pictures, refused, run, said

#: Commands that take neither a network nor a part.
OTHERS = {
    "demo": "trains its own two networks",
    "bench": "takes those of its recipes",
    "ops": "prints a table of the library",
    "push": "writes to the Hub",
    "latency-table": "times layers for minutes",
    "parts gc": "removes what killed processes left",
    "parts remove": "takes a name with its digest",
}
#: Why networks cannot be padded, where they cannot.
UNPADDED = {
    "resnet": None,
    "convnext": "layer_norm normalises across channels",
    "mobilenet_v2": "",  # depends on how many channels are left
    "vit": "layer_norm normalises across channels",
}


#: The network of most layers, which goes through the commands that read its graph: what they write is the others' kind.
LONG, CUTTING = "mobilenet_v2", ("doctor", "attribute", "plan", "disassemble", "assemble", "evaluate", "predict")
#: Commands that start processes, which import torch: one network shows them, what they run has no kind any more.
FIRST, STARTING = "resnet", ("export", "latency")


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and nothing but them."""
    return only_caches(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folders of the networks, and photos of coloured squares for them."""
    folder = tmp_path_factory.mktemp("hub")
    for kind in NETWORKS:
        write(kind, folder / kind)
    for split, count, seed in (("train", 4, 0), ("test", 2, 1)):
        for number, (image, label) in enumerate(zip(*pictures(count, seed=seed), strict=True)):
            path = folder / "photos" / split / NAMES[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).resize((SIDE, SIDE)).convert("RGB").save(path)
    return folder


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_doctor_reads_them(kind, home):
    ran = run("doctor", f"hf:{home / kind}")
    assert ran.code == 0
    assert f"on images of 3 x {SIDE} x {SIDE}: can be taken apart" in ran.out
    assert f"class names are those of '{home / kind}': 'ant', 'bee' … (4 in all)" in said(ran.err)


def steps(model, data, out):
    """A command line of each command, later ones with what earlier ones wrote."""
    images, quick = ["--data", data], ["--epochs", "1"]
    one, two, both = out / "one", out / "two", out / "both"
    return [
        ["doctor", model],
        ["attribute", model, *images, "--out", out / "stats"],
        ["plan", model, *images, "--classes", "ant,dog", "--stats", out / "stats"],
        ["disassemble", model, *images, "--classes", "ant,dog", "--stats", out / "stats", "--out", one],
        ["disassemble", model, *images, "--classes", "bee,cat", "--stats", out / "stats", "--out", two],
        ["compress", model, *images, "--budget", "macs=0.9", "--criterion", "magnitude", "--out", out / "small"],
        ["remove", one, "--classes", "dog", "--out", out / "rest"],
        ["assemble", one, two, *images, "--group", "insect=ant,bee", "--out", both],
        ["add", one, two, "--out", out / "added"],
        ["replace", out / "added", "2", two, "--out", out / "replaced"],
        ["unite", one, two, "--out", out / "united"],
        ["evaluate", one, *images],
        ["evaluate", both, *images],
        ["predict", one, data / "test", "--csv", out / "told.csv"],
        ["predict", both, data / "test", "--sort-into", out / "sorted"],
        ["finetune", one, *images, *quick, "--out", out / "tuned"],
        ["distill", model, one, *images, *quick, "--out", out / "student"],
        ["train", model, *images, *quick, "--out", out / "trained"],
        ["routes", model, *images, "--html", out / "routes.html", "--image", "0", "--photos", "4"],
        ["report", one, *images, "--html", out / "report.html"],
        ["inspect", both],
        ["diff", one, two],
        ["recipe", both],
        ["make", both, "--out", out / "again", "--steps", out / "steps"],
        ["export", one, "--to", out / "one.safetensors"],
        ["latency", one, "--runtime", "torch", "--batch", "1", "--threads", "1", "--rounds", "1"],
        ["parts add", one, "--bin", out / "bin"],
        ["parts list", "--bin", out / "bin"],
        ["parts search", "--class", "ant", "--bin", out / "bin"],
        ["parts show", "one", "--bin", out / "bin"],
        ["parts verify", "one", "--bin", out / "bin"],
    ]


def says_why_it_cannot_be_padded(kind, out):
    ran = run("assemble", out / "one", out / "two", "--layout", "padded", "--out", out / "joint")
    assert "differ in the settings" not in ran.err
    why = UNPADDED[kind]
    if why is None:
        assert ran.code == 0, ran.err
    elif why or ran.code:
        assert why in refused(ran)
        assert "use --layout parallel" in ran.err


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_command_takes_them(kind, home, tmp_path):
    lines = steps(f"hf:{home / kind}", home / "photos", tmp_path)
    assert {line[0] for line in lines} == {command.name for command in COMMANDS} - set(OTHERS)
    if kind == LONG:
        lines = [line for line in lines if line[0] in CUTTING]
    elif kind != FIRST:
        lines = [line for line in lines if line[0] not in STARTING]
    for command, *given in lines:
        ran = run(*command.split(), *given)
        assert (ran.code, "Traceback" in ran.err) == (0, False), (command, given, ran.err)
    assert f"hf:{kind}" in said(run("inspect", tmp_path / "one").out)
    assert len(list((tmp_path / "sorted").rglob("*.png"))) == 8
    says_why_it_cannot_be_padded(kind, tmp_path)


@pytest.mark.parametrize(("options", "mean"), [([], 0.4), (["--mean", "clip"], 0.48145466)])
def test_train_takes_images_as_the_network_says_unless_told_otherwise(options, mean, home, tmp_path):
    out = tmp_path / "trained"
    ran = run("train", f"hf:{home / 'vit'}", "--data", home / "photos", "--epochs", "1", "--out", out, *options)
    assert ran.code == 0, ran.err
    taken = json.loads((out / "training.json").read_text())["preprocessing"]
    assert (taken["mean"][0], taken["size"]) == (mean, [SIDE, SIDE])
    assert said(ran.err).count(f"images are taken as '{home / 'vit'}' takes them:") == 1
    assert said(ran.err).count("by the options images are taken otherwise:") == bool(options)


def test_a_folder_that_is_none(tmp_path):
    assert "is no folder, and no ORG/NAME of the Hub" in refused(run("doctor", f"hf:{tmp_path / 'none'}"))

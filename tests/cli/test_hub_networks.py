"""Networks of transformers in a folder, from the command line: every step, offline."""

import json

import numpy as np
import pytest

from tests.support.caches import only_caches
from tests.support.hub_folders import NAMES, NETWORKS, SIDE, write
from tests.support.squares import pictures, refused, run, said


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and nothing but them."""
    return only_caches(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folders of the networks, and coloured squares for them."""
    folder = tmp_path_factory.mktemp("hub")
    for kind in NETWORKS:
        write(kind, folder / kind)
    (train, test) = (_coloured(seed) for seed in (0, 1))
    np.savez(folder / "data.npz", x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1], class_names=NAMES)
    return folder


def _coloured(seed):
    images, labels = pictures(12, seed=seed)
    large = images.repeat_interleave(SIDE // 16, 1).repeat_interleave(SIDE // 16, 2)
    return large[..., None].expand(*large.shape, 3).numpy(), labels.numpy()


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_doctor_reads_them(kind, home):
    ran = run("doctor", f"hf:{home / kind}")
    assert ran.code == 0
    assert f"on images of 3 x {SIDE} x {SIDE}: can be taken apart" in ran.out
    assert f"class names are those of '{home / kind}': 'ant', 'bee' … (4 in all)" in said(ran.err)


@pytest.mark.parametrize("kind", NETWORKS)
def test_they_are_taken_apart_measured_and_inspected(kind, home, tmp_path):
    out, data = tmp_path / "part", ["--data", home / "data.npz"]
    ran = run("disassemble", f"hf:{home / kind}", *data, "--classes", "ant,dog", "--out", out, "--per-class", "4")
    assert ran.code == 0, ran
    assert run("evaluate", out, *data, "--source", f"hf:{home / kind}").code == 0
    assert f"hf:{kind}" in run("inspect", out).out


def test_the_other_steps_take_them(home, tmp_path):
    model, data = f"hf:{home / 'resnet'}", ["--data", str(home / "data.npz")]
    steps = [
        ["plan", model, *data, "--classes", "ant"],
        ["attribute", model, *data, "--out", tmp_path / "stats"],
        ["compress", model, *data, "--budget", "macs=0.8", "--out", tmp_path / "small"],
        ["routes", model, *data],
        ["remove", model, *data, "--classes", "bee", "--out", tmp_path / "rest"],
        ["train", model, *data, "--epochs", "1", "--out", tmp_path / "trained"],
    ]
    assert [(step[0], ran.err) for step in steps if (ran := run(*step)).code != 0] == []


@pytest.mark.parametrize(("options", "mean"), [([], 0.4), (["--mean", "clip"], 0.48145466)])
def test_train_takes_images_as_the_network_says_unless_told_otherwise(options, mean, home, tmp_path):
    out = tmp_path / "trained"
    ran = run("train", f"hf:{home / 'vit'}", "--data", home / "data.npz", "--epochs", "1", "--out", out, *options)
    assert ran.code == 0, ran.err
    taken = json.loads((out / "training.json").read_text())["preprocessing"]
    assert (taken["mean"][0], taken["size"]) == (mean, [SIDE, SIDE])
    assert said(ran.err).count(f"images are taken as '{home / 'vit'}' takes them:") == 1
    assert said(ran.err).count("by the options images are taken otherwise:") == bool(options)


def test_a_folder_that_is_none(tmp_path):
    assert "is no folder, and no ORG/NAME of the Hub" in refused(run("doctor", f"hf:{tmp_path / 'none'}"))

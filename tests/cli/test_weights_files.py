"""Weights files as people have them, on the command line: a note says what was taken, --weights-key takes others."""

import argparse

import pytest
import torch

from tests.support.squares import NETWORK, refused, run, said, trained

STATE, OTHER = trained(seed=0).state_dict(), trained(seed=3).state_dict()
LIGHTNING = {"state_dict": {f"model.net.{name}": tensor for name, tensor in STATE.items()}, "hparams": {"lr": 0.1}}
BOTH = {"model": STATE, "ema": OTHER, "args": argparse.Namespace(lr=0.1)}


def written(path, held):
    torch.save(held, path)
    return path


def test_what_was_stripped_is_a_note_and_the_result_is_the_same(world, tmp_path):
    given = ("--classes", "ant", "--json")
    ran = run("plan", "--paper", *world.source(written(tmp_path / "a.ckpt", LIGHTNING)), *given)
    assert (ran.code, ran.out) == (0, run("plan", "--paper", *world.source(), *given).out)
    assert ran.err == f"note: '{tmp_path / 'a.ckpt'}': weights are those at 'state_dict.model.net'\n"


def test_a_key_takes_the_others(world, tmp_path):
    given, path = ("--classes", "ant", "--json"), written(tmp_path / "a.pth.tar", BOTH)
    first, other = (run("plan", "--paper", *world.source(path), *key, *given) for key in ([], ["--weights-key", "ema"]))
    assert first.out == run("plan", "--paper", *world.source(), *given).out
    assert "'ema' fits as well, which --weights-key or key= takes" in said(first.err)
    assert other.out == run("plan", "--paper", *world.source(written(tmp_path / "b.pt", OTHER)), *given).out


@pytest.mark.parametrize("key", ["model", "ema"])
def test_the_doctor_takes_them_as_well(tmp_path, key):
    ran = run("doctor", *NETWORK, "--weights", written(tmp_path / "a.pt", BOTH), "--weights-key", key, "--json")
    assert ran.code == 0
    assert ran.json["whole"]["parameters"] == sum(tensor.numel() for tensor in trained(seed=0).parameters())


def test_a_training_starts_from_them(world, tmp_path):
    weights = ["--weights", written(tmp_path / "a.pt", BOTH), "--weights-key", "emma"]
    words = refused(run("train", *NETWORK, "--data", world.data, "--out", tmp_path / "trained", *weights))
    assert "has no weights at 'emma'; it has 'model', 'ema'" in words


@pytest.mark.parametrize("command", ["plan", "doctor", "train"])
def test_a_key_without_a_file_is_refused(world, tmp_path, command):
    more = {"plan": ["--classes", "ant"], "train": ["--out", tmp_path / "trained"], "doctor": []}[command]
    data = [] if command == "doctor" else ["--data", world.data]
    words = refused(run(command, *NETWORK, *data, *more, "--weights-key", "ema"))
    assert words == "--weights-key ema is a place in a weights file; give that by --weights"

"""model-lego train: weights that disassemble takes, a training that outlives a kill, wrong input."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.support.squares import CLASSES, contents, run

SMALL = ("-a", "image_size=16", "-a", "width=0.5")
QUICK = ("--epochs", 12, "--batch-size", 16, "--learning-rate", 0.05, "--random-crop", 1, "--no-flip", *SMALL)


def train(world, out, *more):
    return run("train", "zoo:lenet5", "--data", world.data, "--out", out, *QUICK, *more)


def test_what_was_trained_is_taken_apart(world, tmp_path):
    ran = train(world, tmp_path / "net", "--json")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads((tmp_path / "net" / "training.json").read_text())
    assert {key: ran.json[key] for key in record} == record
    assert (record["network"], record["classes"]) == ("zoo:lenet5", list(CLASSES))
    assert record["test_accuracy"] > 70
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["model.safetensors", "training.json"]
    taken = run(
        "disassemble", "zoo:lenet5", *SMALL, "--data", world.data, "--weights", tmp_path / "net" / "model.safetensors",
        "--paper", "--classes", "bee,cat", "--out", tmp_path / "part", "--json",
    )  # fmt: skip
    assert taken.code == 0
    assert taken.json["classes"] == ["bee", "cat"]


def test_some_classes_in_an_order_of_their_own(world, tmp_path):
    ran = train(world, tmp_path / "net", "--classes", "dog,0")
    assert ran.code == 0
    assert ran.out.endswith("% of the test images of dog, ant are right\n")
    assert json.loads((tmp_path / "net" / "training.json").read_text())["arguments"]["num_classes"] == 2


def test_a_range_of_classes_and_some_images_of_each(world, tmp_path):
    ran = train(world, tmp_path / "net", "--classes", "1-3", "--per-class", 10, "--json")
    assert (ran.code, ran.json["classes"], ran.json["images"]) == (0, ["bee", "cat", "dog"], 30)


def test_killed_and_resumed_it_ends_in_the_same_bytes(world, tmp_path):
    assert train(world, tmp_path / "whole", "--ema", 0.9).code == 0
    command = [
        *(sys.executable, "-m", "model_lego", "train", "zoo:lenet5", "--data", world.data, "--out", tmp_path / "cut"),
        *QUICK, "--ema", 0.9,
    ]  # fmt: skip
    alike = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # else sums are added in another order
    process = subprocess.Popen([str(word) for word in command], env=alike, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (tmp_path / "cut" / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    refused = train(world, tmp_path / "cut", "--ema", 0.9)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "exists already" in refused.err
    assert train(world, tmp_path / "cut", "--ema", 0.9, "--resume").code == 0
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--classes", "ant,cow"), "the data has no class 'cow'; it has ant, bee, cat, dog"),
        (("--epochs", 0), "epochs 0 has to be more than 0"),
        (("--schedule", "linear"), "schedule 'linear' is unknown"),
        (("--learning-rate", 1e30), "use a lower learning rate"),
        (("-a", "in_channels=3"), "does not take images of shape (1, 16, 16)"),
        (("--weights", "nowhere.safetensors"), "does not exist"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(world, tmp_path, more, words):
    ran = train(world, tmp_path / "net", *more)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert words in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_never_replaced(world, tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "thesis.txt").write_text("years of work")
    ran = train(world, tmp_path / "net", "--overwrite")
    assert ran.code == 1
    assert "is no folder of a training" in ran.err
    assert train(world, tmp_path / "net", "--resume").code == 1
    assert [path.read_text() for path in (tmp_path / "net").iterdir()] == ["years of work"]


@pytest.mark.parametrize("name", ["model.safetensors", "training.json", "checkpoint.pt"])
def test_a_file_that_only_has_the_name_of_ours_is_never_replaced(world, tmp_path, name):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / name).write_text('{"settings": "years of work"}')
    assert "is no folder of a training" in train(world, tmp_path / "net", "--overwrite").err
    assert "years of work" in (tmp_path / "net" / name).read_text()


def test_wrong_input_leaves_the_training_that_was_to_be_overwritten(world, tmp_path):
    assert train(world, tmp_path / "net").code == 0
    first = contents(tmp_path / "net")
    assert train(world, tmp_path / "net", "--overwrite", "--weights", "nowhere.safetensors").code == 1
    assert contents(tmp_path / "net") == first


def test_an_interrupted_training_is_overwritten(world, tmp_path):
    assert train(world, tmp_path / "net").code == 0
    (tmp_path / "net" / "model.safetensors").unlink()
    (tmp_path / "net" / "training.json").unlink()
    kept = {"settings": {"seed": 1}, "model": {}, "optimizer": {}, "epochs": 1}
    torch.save(kept, tmp_path / "net" / "checkpoint.pt")
    assert train(world, tmp_path / "net", "--overwrite").code == 0


def test_a_finished_training_is_overwritten_only_when_asked_for(world, tmp_path):
    assert train(world, tmp_path / "net").code == 0
    first = contents(tmp_path / "net")
    assert train(world, tmp_path / "net", "--resume").code == 1
    assert train(world, tmp_path / "net").code == 1
    assert contents(tmp_path / "net") == first
    assert train(world, tmp_path / "net", "--overwrite", "--seed", 1).code == 0
    assert contents(tmp_path / "net") != first


@pytest.mark.parametrize("spot", ["save_file", "_accuracy"])
def test_an_overwrite_that_is_interrupted_leaves_the_old_training_and_can_go_on(world, tmp_path, monkeypatch, spot):
    assert train(world, tmp_path / "whole", "--seed", 1).code == 0
    assert train(world, tmp_path / "net").code == 0
    first = contents(tmp_path / "net")

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"model_lego.training.trained_folder.{spot}", interrupted)
        assert train(world, tmp_path / "net", "--overwrite", "--seed", 1).code == 130
    left = contents(tmp_path / "net")
    assert {name: left[name] for name in first} == first
    assert train(world, tmp_path / "net", "--resume", "--seed", 1).code == 0
    assert contents(tmp_path / "net") == contents(tmp_path / "whole")

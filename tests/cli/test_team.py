"""Commands whose work two processes share, started by torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model_lego import load, load_statistics
from tests.support.squares import Ran, contents, pictures, run

SRC = Path(__file__).parents[2] / "src"


def team(*arguments: object) -> Ran:
    """Run a command in two processes."""
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "model_lego"]
    done = subprocess.run(
        [*start, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def near(value):
    """A JSON value to compare with: equal but for the last bits of its numbers."""
    if isinstance(value, dict):
        return {key: near(item) for key, item in value.items()}
    if isinstance(value, list):
        return [near(item) for item in value]
    return pytest.approx(value, rel=1e-5) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("team")


def test_two_processes_collect_the_statistics_of_one_and_speak_once(world, folder):
    ran = team("attribute", *world.source(), "--out", folder / "two", "--json")
    assert ran.code == 0, ran.err
    assert ran.json == run("attribute", *world.source(), "--out", folder / "one", "--json").json | {
        "folder": str(folder / "two")
    }
    one, two = (load_statistics(folder / name) for name in ("one", "two"))
    for layer in one.layers:
        for label in one.classes:
            assert (one.mean(layer, label) - two.mean(layer, label)).abs().max() <= 1e-5 * one.mean(layer, label).max()


def test_two_processes_disassemble_and_evaluate_as_one_does(world, folder):
    arguments = ("disassemble", "--paper", *world.source(), "--classes", "cat,ant")
    ran = team(*arguments, "--out", folder / "two parts", "--json")
    assert ran.code == 0, ran.err
    alone = run(*arguments, "--out", folder / "one part", "--json")
    assert ran.json["rows"][0]["accuracy"] == alone.json["rows"][0]["accuracy"]
    one, two = (load(folder / name) for name in ("one part", "two parts"))
    assert one.origin.kept_outputs == two.origin.kept_outputs
    images = pictures(10, seed=1)[0][:, None] / 255
    with torch.no_grad():
        expected, answers = one(images), two(images)  # weights that add up to the same are no expectation
    assert (answers - expected).abs().max() <= 1e-3 * expected.abs().max()
    measured = team("evaluate", folder / "two parts", "--data", world.data, "--json")
    assert measured.json == near(run("evaluate", folder / "two parts", "--data", world.data, "--json").json)


def test_an_error_is_said_once_and_nothing_is_written(world, tmp_path):
    ran = team("attribute", *world.source(), "--classes", "emu", "--out", tmp_path / "new")
    assert ran.code == 1
    assert ran.err.count("emu") == 1
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_command_that_is_not_shared_says_so_once(world, tmp_path, monkeypatch, rank):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun sets it
    monkeypatch.setenv("RANK", rank)
    ran = run("train", *world.source(), "--out", tmp_path / "new")
    said = "error: train runs in one process; start it without torchrun\n"
    assert (ran.code, ran.out, ran.err) == (1, "", said if rank == "0" else "")
    assert contents(tmp_path) == {}

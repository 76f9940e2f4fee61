"""model-lego finetune and distill: what they write and say, runs that outlive a kill, wrong input."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import model_lego as ml
from tests.support.squares import contents, refused, run

SMALL = ("-a", "image_size=16", "-a", "width=0.25")
QUICK = ("--epochs", 3, "--batch-size", 16, "--learning-rate", 0.02)
STUDENT = ("zoo:lenet5", *SMALL, "--epochs", 8, "--batch-size", 16, "--learning-rate", 0.02)


def finetune(world, part, out, *more):
    return run("finetune", part, "--data", world.data, "--out", out, *QUICK, *more)


def distill(world, teacher, out, *more):
    return run("distill", teacher, *STUDENT, "--data", world.data, "--out", out, *more)


@pytest.mark.parametrize("which", ["one", "both"])
def test_a_part_is_tuned_and_saved(world, tmp_path, which):
    given = contents(getattr(world, which))
    ran = finetune(world, getattr(world, which), tmp_path / "tuned", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json.keys() == {"folder", "before", "after", "verdict"}
    assert contents(getattr(world, which)) == given
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]
    evaluated = run("evaluate", tmp_path / "tuned", "--data", world.data, "--json")
    assert evaluated.json["rows"][0]["accuracy"] == ran.json["after"]
    tuned = ml.load(tmp_path / "tuned")
    settings = (tuned.settings if which == "both" else tuned.origin.settings)["finetuned"]
    assert [(one["epochs"], one["images"]) for one in settings] == [(3, 96 if which == "both" else 48)]


def test_what_was_tuned_is_said(world, tmp_path):
    ran = finetune(world, world.one, tmp_path / "tuned")
    assert ran.code == 0
    assert "of the test images were right, now" in ran.out


def test_a_student_by_its_name_is_taught_and_saved_as_a_component(world, tmp_path):
    ran = distill(world, world.both, tmp_path / "student", "--alone", "--features", 0.5, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert [row["name"] for row in ran.json["rows"]] == ["component", "alone", "teacher"]
    assert ran.json["points"] == ran.json["rows"][0]["accuracy"] - ran.json["rows"][1]["accuracy"]
    student = ml.load(tmp_path / "student")
    assert student.classes == ("ant", "bee", "dog", "cat")
    assert student.origin.builder.name == "zoo:lenet5"
    assert student.origin.settings["distilled"][0]["features"] == 0.5
    evaluated = run("evaluate", tmp_path / "student", "--data", world.data, "--json")
    assert evaluated.json["rows"][0]["accuracy"] == ran.json["rows"][0]["accuracy"]
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_a_component_learns_from_its_source(world, tmp_path):
    ran = run(
        "distill", world.source()[0], world.one, *world.source()[1:], *QUICK, "--hard", 0, "--out", tmp_path / "taught"
    )
    assert ran.code == 0, ran.err
    (record,) = ml.load(tmp_path / "taught").origin.settings["distilled"]
    assert record["images"] == 96  # of all classes, since labels do not count
    assert record["teacher_digest"] == ml.load(world.one).origin.source_digest


def test_killed_and_resumed_it_ends_in_the_same_bytes(world, tmp_path):
    words = ["finetune", world.both, *QUICK, "--epochs", 12, "--data", world.data]
    whole, cut = ([*words, "--out", tmp_path / name] for name in ("whole", "cut"))
    assert run(*whole).code == 0
    alike = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # else sums are added in another order
    line = [sys.executable, "-m", "model_lego", *map(str, cut)]
    process = subprocess.Popen(line, env=alike, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    kept, until = tmp_path / "cut.unfinished" / "checkpoint.pt", time.monotonic() + 120
    while not kept.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "cut").exists()
    assert "--resume to go on" in refused(run(*cut))
    assert run(*cut, "--resume").code == 0
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--epochs", 0), "epochs 0 has to be more than 0"),
        (("--resume",), "to go on from; leave --resume out"),
        (("--learning-rate", 1e30), "use a lower learning rate"),
    ],
)
def test_wrong_input_to_finetune_is_one_line(world, tmp_path, more, words):
    assert words in refused(finetune(world, world.one, tmp_path / "tuned", *more))
    assert [path.name for path in tmp_path.iterdir()] == []
    assert "is no folder" in refused(finetune(world, tmp_path / "nowhere", tmp_path / "tuned"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--temperature", 0), "temperature 0.0 has to be more than 0"),
        (("--hard", 1, "--alone"), "nothing to compare"),
        (("--weights", "w.pt"), "leave --pretrained, --weights and --source-classes out"),
        (("-a", "in_channels=3"), "channels"),
    ],
)
def test_wrong_input_to_distill_is_one_line(world, tmp_path, more, words):
    said = refused(distill(world, world.both, tmp_path / "student", *more))
    assert words in said
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_student_by_name_needs_a_saved_teacher(world, tmp_path):
    ran = run("distill", *world.source()[:1], *STUDENT, *world.source()[5:], "--out", tmp_path / "x")
    assert "needs a saved component" in refused(ran)


def test_what_somebody_else_put_beside_is_never_thrown_away(world, tmp_path):
    (tmp_path / "tuned.unfinished").mkdir()
    (tmp_path / "tuned.unfinished" / "thesis.txt").write_text("years of work")
    assert "interrupted run" in refused(finetune(world, world.one, tmp_path / "tuned"))
    assert "somebody else" in refused(finetune(world, world.one, tmp_path / "tuned", "--overwrite"))
    assert (tmp_path / "tuned.unfinished" / "thesis.txt").read_text() == "years of work"

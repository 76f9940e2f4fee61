"""--repair tuned: what is said and written, beside what the component is without it; wrong input."""

import re

from tests.support.squares import refused, run, said


def test_a_tuned_component_is_shown_beside_the_training_free_one(world, tmp_path):
    out = tmp_path / "tuned"
    cutting = ("--budget", "macs=0.5", "--repair", "tuned", "--tune-steps", 3)
    ran = run("disassemble", *world.source(), "--classes", "ant,bee", *cutting, "--out", out)
    assert ran.code == 0, ran.err
    assert re.search(r"training-free +\d", ran.out)
    assert "training-free, before it was tuned" in said(ran.out)
    assert re.search(r"repaired tuned, on \d+ images; 3 steps in [\d.]+ seconds", said(run("inspect", out).out))
    again = run("evaluate", out, "--source", *world.source(), "--json")
    assert again.code == 0, again.err
    assert [row["name"] for row in again.json["rows"]][-1] == "training-free"


def test_a_time_that_makes_no_sense_is_refused_before_any_work(world, tmp_path):
    given = ("disassemble", *world.source(), "--classes", "ant,bee", "--out", tmp_path / "part", "--repair", "tuned")
    assert "cannot be tuned for -1.0 seconds" in refused(run(*given, "--tune-seconds", "-1"))
    assert "cannot be tuned in 0 steps" in refused(run(*given, "--tune-steps", "0"))

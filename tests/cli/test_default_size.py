"""The size of a component by default, by --paper, and with few images: what the terminal says of it."""

import pytest

from tests.support.squares import pictures, refused, run, write_npz


@pytest.fixture(scope="module")
def many(world, tmp_path_factory):
    """Of each class 150 training images: for two classes 100 are held out."""
    found = {}
    for part, count, seed in (("train", 150, 3), ("test", 10, 1)):
        images, labels = pictures(count, seed=seed)
        found |= {f"x_{part}": images.numpy(), f"y_{part}": labels.numpy()}
    return write_npz(tmp_path_factory.mktemp("many") / "animals.npz", **found)


def test_the_smallest_that_keeps_its_accuracy_is_said_with_what_it_took(world, many, tmp_path):
    from model_lego import load

    ran = run("disassemble", *world.source(data=many), "--classes", "ant,bee", "--out", tmp_path / "part")
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if line.startswith("size: "))
    part = load(tmp_path / "part")
    reached = part.origin.settings["budget"]["reached"]
    assert f"of {reached['trials']} tried that loses at most one point on 100 held-out images; " in line
    low, high = reached["interval"]
    assert line.endswith(f"{reached['accuracy_drop']:.1f} points lost there (95 %: {low:.1f} to {high:.1f})")
    assert part.origin.cost_after.parameters < 0.5 * part.origin.cost_before.parameters
    planned = run("plan", *world.source(data=many), "--classes", "ant,bee")
    assert line in planned.out.splitlines()
    found = run("plan", *world.source(data=many), "--classes", "ant,bee", "--json").json
    assert found["parameters"] == part.origin.cost_after.parameters


def test_few_images_keep_the_largest_and_it_is_said(world, tmp_path):
    ran = run("disassemble", *world.source(), "--classes", "ant,bee", "--out", tmp_path / "part")
    assert ran.code == 0, ran.err
    assert "size: the largest, as none is known to lose at most one point on 16 held-out images" in ran.out
    assert "warning: 16 held-out images are too few to tell whether more than one point is lost: 100 are" in ran.err
    assert "try at least 300 training images of its classes, or --budget macs=0.5" in ran.err


@pytest.mark.parametrize("given", [("--paper",), ("--alpha", "0.2"), ("--per-class", "9")])
def test_the_paper_is_a_word_away_and_said(world, given):
    ran = run("plan", *world.source(), "--classes", "ant,bee", *given)
    assert ran.code == 0, ran.err
    assert "size: what the thresholds leave" in ran.out


def test_the_paper_knows_no_size(world):
    words = refused(run("plan", *world.source(), "--classes", "ant", "--paper", "--budget", "macs=0.5"))
    assert "leave it or --budget out" in words

"""The line of progress: a rate only where there is one, time left as people say it, totals where they are known."""

import re
from contextlib import redirect_stderr

import pytest
import torch

from model_lego.cli import render
from model_lego.progress import tracked
from tests.support.squares import Terminal, run

WIPE = "\r\x1b[K"


class Clock:
    """Seconds that pass when they are told to."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(render, "time", clock)
    return clock


def lines(clock, *reports):
    """The lines that are shown for reports (seconds that have passed, what, done, total)."""
    bar = render.Bar()
    with redirect_stderr(Terminal()) as err:
        for passed, *report in reports:
            clock.now += passed
            bar(*report)
    return [line for line in err.getvalue().split(WIPE) if line]


@pytest.mark.parametrize(
    "reports",
    [
        [(0, "summing", 16, None)],  # 16000000/s
        [(0, "summing", 16, 64), (0.2, "summing", 32, 64)],
        [(0, "reading", 0, 10), (0.01, "reading", 10, 10), (0, "summing", 400, 1000)],  # another phase
        [(0, "training", 900, 1000)],  # an interrupted run goes on
    ],
)
def test_no_rate_is_told_before_there_is_one(clock, reports):
    assert [line for line in lines(clock, *reports) if "/s" in line or "left" in line] == []


@pytest.mark.parametrize(
    ("reports", "last"),
    [
        ([(0, "summing", 16, 100), (2, "summing", 36, 100)], "summing 36/100, 10/s, 6 s left"),
        ([(0, "summing", 16, None), (4, "summing", 26, None)], "summing 26, 2.5/s"),
        ([(0, "training", 900, 1000), (10, "training", 905, 1000)], "training 905/1000, 0.5/s, 3 min left"),
        ([(0, "reading", 0, 9000), (10, "reading", 10, 9000)], "reading 10/9000, 1.0/s, 2 h 30 min left"),
        ([(0, "reading", 0, 4), (60, "reading", 1, 4)], "reading 1/4, 1.0/min, 3 min left"),
        ([(0, "a", 5, 9), (60, "a", 9, 9), (1, "a", 0, 9), (2, "a", 4, 9)], "a 4/9, 2.0/s, 2 s left"),  # once more
    ],
)
def test_rate_and_time_left_are_of_what_was_done_since_it_was_first_reported(clock, reports, last):
    assert lines(clock, *reports)[-1] == last


def test_what_is_said_does_not_stand_behind_the_line_of_progress():
    with redirect_stderr(Terminal()) as err:
        render.Bar()("summing", 1, 2)
        render.say("interrupted; nothing was written")
    assert err.getvalue().endswith(f"{WIPE}interrupted; nothing was written\n")


def reported(items, **given):
    seen = []
    for _ in tracked(items, "reading", lambda _, done, total: seen.append((done, total)), **given):
        pass
    return seen


def made(count):
    return [(torch.rand(2, 1, 4, 4), torch.tensor([0, 1])) for _ in range(count)]


def test_batches_that_are_checked_are_as_many_as_were_given():
    from model_lego.data.batching import Mapped, checked, prepared
    from model_lego.parts.preprocessing import Preprocessing

    given = made(5)
    assert reported(checked(given))[:2] == [(0, 5), (1, 5)]
    assert reported(checked(prepared(given, Preprocessing((0.5,), (0.5,)))))[0] == (0, 5)
    assert reported(checked(Mapped(Mapped(given, lambda x: x), lambda x: x)))[0] == (0, 5)
    assert reported(checked(given, share=(0, 2)))[0] == (0, 3)
    assert reported(checked(given, share=(1, 2)))[0] == (0, 2)


def test_where_the_number_is_not_known_there_is_none():
    from model_lego.data.batching import checked

    class Unending:
        def __iter__(self):
            return iter(made(2))

        def __len__(self):
            raise TypeError("no length")  # as a DataLoader of a stream

    assert reported(checked(Unending())) == [(0, None), (1, None), (2, None), (2, 2)]


@pytest.mark.parametrize("phase", ["choosing samples", "summing contributions", "drawing calibration images"])
def test_every_phase_of_a_cut_has_a_total(world, tmp_path, phase):
    drawn = run(
        "disassemble", "--paper", *world.source(), "--classes", "ant", "--out", tmp_path / "part", terminal=True
    )
    counts = re.findall(rf"{phase} (\d+)(/\d+)?", drawn.err)
    assert counts
    assert [count for count, total in counts if not total] == []

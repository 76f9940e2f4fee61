"""Work in a process of its own: what it gives comes back, and what stops it is said."""

import multiprocessing
import os
import resource
import signal
import time

import pytest

from benchmarks.apart import Stopped, apart
from benchmarks.coverage import opinion

FORKED = multiprocessing.get_context("fork")


def crash():
    os.kill(os.getpid(), signal.SIGTERM)


def turn_for_ever(*_):
    while True:
        pass


def test_what_it_gives_comes_back():
    assert apart(FORKED, os.getpid, seconds=60) != os.getpid()


def test_what_the_work_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        apart(FORKED, lambda: 1 / 0, seconds=60)


@pytest.mark.parametrize(
    ("work", "seconds", "limits", "reason"),
    [
        (crash, 60, {}, "SIGTERM"),
        (lambda: os._exit(3), 60, {}, "the process stopped with 3"),
        (turn_for_ever, 60, {resource.RLIMIT_CPU: 1}, "SIG(XCPU|KILL)"),
        (lambda: time.sleep(600), 1, {}, "not done after 1 s"),
    ],
)
def test_what_stops_it_is_said(work, seconds, limits, reason):
    with pytest.raises(Stopped, match=reason):
        apart(FORKED, work, seconds=seconds, limits=limits)


def test_a_second_opinion_that_takes_too_long_is_no_agreement(monkeypatch):
    monkeypatch.setattr(opinion, "second_opinion", turn_for_ever)
    monkeypatch.setattr(opinion, "OF_A_PROCESSOR", 1)
    heard = opinion.opinion_in_time(None, None, None)
    assert heard.startswith("fails: gives no answer in 1 s of a processor: the process stopped with SIG")

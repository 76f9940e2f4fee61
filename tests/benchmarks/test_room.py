"""The benchmark of memory and time at 224 pixels: what belongs to which phase."""

from benchmarks.coverage.memory import Memory
from benchmarks.room import Phases


def test_time_and_memory_belong_to_the_phase_in_which_they_were_taken():
    phases = Phases(Memory())
    for what, done in (("reading", 1), ("reading", 2), ("fitting", 1), ("reading", 1), ("the end", 0)):
        phases(what, done, None)
    assert list(phases.seconds) == list(phases.peak) == ["reading the network", "reading", "fitting"]
    assert all(passed >= 0 for passed in phases.seconds.values())

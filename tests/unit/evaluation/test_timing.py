"""What one photo takes: rounds in which networks take turns."""

import torch

from model_lego.evaluation import timing
from model_lego.evaluation.timing import ROUNDS, photo_times
from tests.support.pixel_networks import Pixels, pets

IMAGE = torch.ones(1, 3, 1, 1)


def test_networks_take_turns_and_one_that_several_share_runs_once_a_round():
    shared, other = Pixels(0, 1, 2), Pixels(1, 0, 2)
    contenders = [pets(each, columns=(0, 1, 2)) for each in (shared, other, shared)]
    first, second, third = photo_times(contenders, IMAGE)
    assert (first == third, first > 0, second > 0) == (True, True, True)
    assert (shared.runs, other.runs) == (ROUNDS, ROUNDS)


def test_slow_networks_have_few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "ENOUGH", 0.0)
    slow = Pixels(0, 1, 2)
    assert photo_times([pets(slow, columns=(0, 1, 2))], IMAGE)[0] > 0
    assert slow.runs == 2

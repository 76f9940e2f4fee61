"""The learning rate of each step, against the formula of the schedule."""

import math

import pytest
import torch
from torch import nn

from model_lego.training import TrainingSettings
from model_lego.training.loop import _schedule


def by_formula(kind, highest, steps):
    """A rise from a twenty-fifth over the first quarter where there is one, then half a cosine down to zero."""
    rise = max(1, steps // 4) if kind == "one-cycle" else 0
    up = [1 - 0.96 * (1 + math.cos(math.pi * step / rise)) / 2 for step in range(rise)]
    down = [(1 + math.cos(math.pi * step / (steps - rise))) / 2 for step in range(steps - rise)]
    return [highest * share for share in up + down]


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("highest", [0.1, 0.05, 0.01])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 30, 101, 1955])
@pytest.mark.parametrize("kind", ["one-cycle", "cosine"])
def test_rates_are_those_of_the_formula_to_the_bit(kind, steps, highest):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=highest)
    schedule = _schedule(optimizer, TrainingSettings(learning_rate=highest, schedule=kind), steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == by_formula(kind, highest, steps)


@pytest.mark.parametrize("kind", ["one-cycle", "cosine"])
def test_a_schedule_asks_nothing_of_a_checkpoint_that_earlier_ones_lack(kind):
    """They hold what SGD has of itself, and the rate from which a schedule starts."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    by_itself = set(optimizer.param_groups[0])
    _schedule(optimizer, TrainingSettings(schedule=kind), 8)
    assert set(optimizer.param_groups[0]) - by_itself == {"initial_lr"}

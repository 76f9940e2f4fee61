"""Intervals, calibration error and outsiders against plain loops and resampled test sets."""

import math

import numpy as np
import pytest
import torch

from model_lego.verdicts.metrics import (
    area,
    believed_losses,
    calibration_error,
    difference_interval,
    exchanged_losses,
    interval,
    mean_and_error,
    outsiders,
)

GENERATOR = torch.Generator().manual_seed(0)


def test_the_interval_is_that_of_resampled_test_sets():
    right = np.array([1] * 87 + [0] * 33)
    rng = np.random.default_rng(1)
    means = [100 * rng.choice(right, len(right)).mean() for _ in range(20_000)]
    assert interval(87, 120) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.9)


def test_the_interval_of_a_difference_keeps_the_samples_together():
    first, second = np.array([1] * 90 + [0] * 30), np.array([1] * 80 + [0] * 20 + [1] * 5 + [0] * 15)
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, 120, 120) for _ in range(20_000)]
    differences = [100 * (first[places].mean() - second[places].mean()) for places in drawn]
    gained, lost = int((first & ~second & 1).sum()), int((second & ~first & 1).sum())
    assert (gained, lost) == (10, 5)
    assert difference_interval(gained, lost, 120) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=1.0)


@pytest.mark.parametrize("samples", [20, 60, 500])
def test_few_samples_without_a_difference_do_not_prove_that_there_is_none(samples):
    low, high = difference_interval(0, 0, samples)
    assert -low == pytest.approx(high)
    assert 0.8 * 300 / samples < high < 1.4 * 300 / samples  # the rule of three


def test_what_is_lost_is_what_is_believed_beyond_the_answer_given():
    theirs = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.5, 0.5]]).log()
    own = torch.tensor([[1.0, 0.0], [2.0, 1.0], [3.0, 1.0], [0.0, 9.0]])  # the second answer is another one
    assert believed_losses(theirs, own).tolist() == pytest.approx([0.0, 0.2, 0.0, 0.0])


def test_errors_are_exchanged_between_the_images_of_a_class():
    theirs = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    own = torch.tensor([[3.0, 2.0], [1.0, 0.0], [0.0, 5.0]])  # the first is right still; the second would not be
    losses = exchanged_losses(theirs, own, torch.tensor([0, 0, 1]))
    assert losses.tolist() == pytest.approx([0.0 + 0.5 - 0.25, 0.5 + 0.0 - 0.25, 0.0])
    assert float(losses.mean()) == pytest.approx((0.5 * 0.5 * 2 + 0) / 3)


def test_exchanged_errors_tell_of_few_images_what_many_show_with_the_spread_that_they_have():
    count = 100_000
    places = torch.randint(0, 3, (count,), generator=GENERATOR)
    theirs = torch.randn(count, 3, generator=GENERATOR) + 2.5 * torch.nn.functional.one_hot(places, 3)
    own = theirs + 0.7 * torch.randn(count, 3, generator=GENERATOR)
    lost = 100 * ((theirs.argmax(1) == places).double() - (own.argmax(1) == places).double())
    parts = torch.arange(count).split(100)[:200]
    found = [mean_and_error(exchanged_losses(theirs[some], own[some], places[some])) for some in parts]
    means, errors = torch.tensor(found).T
    assert float(means.mean()) == pytest.approx(float(lost.mean()), abs=0.3)
    assert float(means.std()) < 0.75 * float(torch.stack([lost[some].mean() for some in parts]).std())
    assert float(means.std()) == pytest.approx(float(errors.mean()), rel=0.2)


def test_the_error_of_a_mean_is_that_of_many_samples_drawn_again():
    losses = torch.tensor([1.0] * 3 + [-1.0] + [0.0] * 96)
    again = losses[torch.randint(0, 100, (20_000, 100), generator=GENERATOR)].mean(1)
    mean, error = mean_and_error(losses)
    assert mean == pytest.approx(2.0)
    assert error == pytest.approx(100 * float(again.std()), rel=0.03)
    assert mean_and_error(torch.zeros(7)) == (0.0, 0.0)
    assert all(map(math.isnan, mean_and_error(losses[:0])))


def test_the_calibration_error_is_the_mean_gap_of_fifteen_bins():
    confidence = torch.rand(200, generator=GENERATOR, dtype=torch.float64)
    right = torch.rand(200, generator=GENERATOR, dtype=torch.float64) < confidence**2
    expected = 0.0
    for number in range(15):
        mine = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if mine.any():
            expected += float(mine.sum()) / 200 * abs(float(confidence[mine].mean() - right[mine].double().mean()))
    assert calibration_error(confidence, right) == pytest.approx(100 * expected, abs=1e-5)
    order = torch.randperm(200, generator=GENERATOR)
    assert calibration_error(confidence[order], right[order]) == calibration_error(confidence, right)


def test_outsiders_are_told_by_pairs_and_by_a_threshold():
    own, others = torch.randn(40, generator=GENERATOR) + 1, torch.randn(25, generator=GENERATOR)
    score, mine = torch.cat([own, others]), torch.arange(65) < 40
    found = outsiders(score, mine)
    pairs = [float(a > b) + 0.5 * float(a == b) for a in own for b in others]
    assert found.auroc == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)
    threshold = sorted(own.tolist())[2]  # 38 of 40 score as high
    assert found.fpr95 == pytest.approx(100 * sum(value >= threshold for value in others.tolist()) / 25)
    assert found.samples == 25
    assert area(score, mine) == found.auroc


def test_without_samples_nothing_is_told():
    assert outsiders(torch.ones(3), torch.ones(3, dtype=torch.bool)) is None
    assert outsiders(torch.ones(3), torch.zeros(3, dtype=torch.bool)) is None
    assert all(map(math.isnan, (*interval(0, 0), *difference_interval(0, 0, 0))))
    assert math.isnan(calibration_error(torch.zeros(0), torch.zeros(0, dtype=torch.bool)))

"""Cross-validation: what each image is judged by, and which kind of head is taken."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model_lego.heads.cross_validation import Judged, Kind, folds_of, judge, preferred
from model_lego.heads.linear import Fit
from model_lego.heads.logistic import STRENGTHS, affine_fits
from tests.support.components import random_batch


def test_folds_hold_as_many_of_each_class():
    labels = torch.tensor([0] * 10 + [1] * 5 + [2] * 12)
    fold = folds_of(labels, count=5, seed=0)
    for number in range(5):
        held = torch.bincount(labels[fold == number], minlength=3)
        assert held[:2].tolist() == [2, 1]
        assert held[2] in (2, 3)
    assert torch.equal(fold, folds_of(labels, count=5, seed=0))
    assert not torch.equal(fold, folds_of(labels, count=5, seed=1))


def test_no_image_is_judged_by_a_fit_or_a_strength_that_saw_it():
    """Fits that tell which rows they were made from; the strength of a fold is the best on the other folds."""
    x = torch.arange(6, dtype=torch.float64)[:, None]
    labels, fold = torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([0, 0, 1, 1, 2, 2])
    seen = []

    def fits(rows: Tensor, given: Tensor) -> list[Fit]:
        seen.append(sorted(rows.reshape(-1).long().tolist()))
        assert torch.equal(labels[rows.reshape(-1).long()], given)
        return [Fit(torch.zeros(2, 1).double(), torch.tensor([number, 0.0]).double(), number) for number in (1.0, 2.0)]

    # The second strength is better on fold 0, where it gains 3, and worse on folds 1 and 2, where it loses 1 each.
    gain = torch.tensor([1.5, 1.5, -0.5, -0.5, -0.5, -0.5])

    def loss(scores: Tensor, given: Tensor) -> Tensor:
        return -gain * (scores[:, 0] - 1)

    judged = judge(Kind(x, fits, loss), labels, fold)
    assert seen == [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3]]
    assert judged.scores[:, 0].tolist() == [1, 1, 2, 2, 2, 2]
    assert judged.choice == 1
    assert judged.accuracy == 50


def judged(*right: int) -> Judged:
    return Judged(torch.zeros(len(right), 2), torch.tensor(right).bool(), 0)


def test_the_first_favourite_is_taken_unless_another_kind_is_clearly_better():
    base, little = [1] * 80 + [0] * 20, [0] * 6 + [1] * 74 + [1] * 12 + [0] * 8  # a gap of 0.06, twice its error 0.08
    much = [1] * 90 + [0] * 10  # a gap of 0.1, twice its error 0.06

    def taken(**each):
        return preferred({name: judged(*right) for name, right in each.items()}, ("blend", "affine"))

    assert taken(concat=base, affine=base, blend=base) == "blend"
    assert taken(concat=little, affine=base, blend=base) == "blend"
    assert taken(concat=much, affine=little, blend=base) == "concat"
    assert taken(concat=little, affine=base) == "affine"
    assert taken(concat=much, affine=base) == "concat"
    assert taken(lda=base) == "lda"


def chosen(logits: Tensor, labels: Tensor, seed: int = 0) -> float:
    kind = Kind(logits, partial(affine_fits, start=torch.eye(4)), partial(F.cross_entropy, reduction="none"))
    return STRENGTHS[judge(kind, labels, folds_of(labels, count=5, seed=seed)).choice]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_strength_follows_what_there_is_to_learn(seed):
    noise, labels = random_batch(40, seed=5, signal=0.0)
    clear, _ = random_batch(4000, seed=5, signal=1.0)
    mixed = clear.flatten(1) @ torch.tensor([[1.0, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2], [2, 0, 0, 1]]).double()
    assert chosen(noise.flatten(1), labels, seed) >= 0.1
    assert chosen(mixed, torch.arange(4000) % 4, seed) < 0.1

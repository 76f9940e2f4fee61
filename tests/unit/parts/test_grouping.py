"""Groups of classes: probabilities that are sums, and which logits they are sums of."""

import pytest
import torch

from model_lego.parts.grouping import columns_of, grouped, left_of, merged

GROUPS = {"dog": ("pug", "beagle"), "bird": ("owl",)}
TERMS = ("pug", "cat", "beagle", "owl")


def test_the_logit_of_a_group_has_the_sum_of_its_members_probabilities():
    logits = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 9
    columns = columns_of(("owl", "dog", "cat"), TERMS, {"dog": ("pug", "beagle")})
    pug, cat, beagle, owl = logits.softmax(1).T
    told = merged(logits, columns)
    assert torch.allclose(told.softmax(1), torch.stack([owl, pug + beagle, cat], 1), rtol=1e-12)
    assert torch.equal(told[:, [0, 2]], logits[:, [3, 1]])  # what is in no group keeps its logit


def test_large_logits_do_not_overflow():
    told = merged(torch.tensor([[1e4, -1e4, 1e4]]), ((0, 2), (1,)))
    assert told.tolist() == [[pytest.approx(1e4 + 0.6931, rel=1e-6), -1e4]]


def test_without_groups_and_order_logits_are_left_alone():
    logits = torch.randn(3, 2)
    assert merged(logits, ((0,), (1,))) is logits


def test_classes_stand_where_their_first_member_does():
    assert grouped(TERMS, GROUPS) == (("dog", "cat", "bird"), ((0, 2), (1,), (3,)))


def test_a_head_that_knows_the_group_alone_has_its_column():
    assert columns_of(("cat", "dog"), ("dog", "cat"), {"dog": ("pug", "beagle")}) == ((1,), (0,))


def test_groups_lose_the_members_that_are_gone():
    assert left_of(GROUPS, ["pug", "cat"]) == {"dog": ("pug",)}

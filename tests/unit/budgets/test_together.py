"""Channels of attention go as a head, or the worst of each row at once."""

import torch

from model_lego.budgets.together import Together
from tests.support.plans import traced


def worth(scores, left=None):
    graph = traced("attention")[1]
    left = graph.cuttable.clone() if left is None else left
    return graph, Together(graph).worth(left, scores, torch.ones(graph.width, dtype=torch.float64))


def test_a_head_that_is_worth_little_goes_as_a_whole():
    graph = traced("attention")[1]
    first = graph.attention[0].heads[0]
    scores = torch.full((graph.width,), 2.0, dtype=torch.float64)
    scores[graph.head_of == first] = 0.5
    graph, found = worth(scores)
    assert bool((found[graph.head_of == first] == 0.5).all())
    others = (graph.head_of >= 0) & (graph.head_of != first)
    assert bool((found[others] > 0.5).all())
    assert bool((found[graph.is_attention_head] == -torch.inf).all())


def test_a_channel_that_is_worth_little_goes_with_the_worst_of_the_other_rows():
    graph = traced("attention")[1]
    rows = torch.cat([heads.rows for heads in graph.attention]).unique(dim=0)
    scores = torch.full((graph.width,), 2.0, dtype=torch.float64)
    scores[rows[:, 1]] = 0.1
    graph, found = worth(scores)
    assert torch.allclose(found[rows[:, 1]], torch.tensor(0.1, dtype=torch.float64))
    assert bool((found[rows[:, 0]] > 1).all())


def test_scores_of_other_channels_are_their_own():
    graph = traced("plain")[1]
    scores = torch.rand(graph.width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cost = torch.full_like(scores, 0.5)
    assert torch.equal(Together(graph).worth(graph.cuttable, scores, cost), scores / cost)

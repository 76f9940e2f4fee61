"""FPGM and HRank against plain loops and, for FPGM, against Torch-Pruning's importance."""

import numpy as np
import pytest
import torch
from torch import nn

from model_lego.budgets.criteria import CRITERIA, Context, distances
from model_lego.budgets.hrank import map_ranks, ranks, settled
from model_lego.cutting.tracing import trace
from tests.support.plans import traced
from tests.support.tiny_models import TINY, build, inputs


def away(weight):
    """Sum of the Euclidean distances of each filter to all others, in plain loops."""
    filters = [row.flatten().tolist() for row in weight.detach()]
    return [
        sum(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 for other in filters) for one in filters
    ]


def test_fpgm_is_the_sum_of_distances_to_the_filters_of_the_layer():
    model, graph = traced("plain")
    scores = distances(model, graph)
    for path in ("0", "4"):
        assert scores[graph.layer(path).outputs].tolist() == pytest.approx(away(model.get_submodule(path).weight))


def test_fpgm_of_a_stream_is_the_sum_over_its_writers():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), Twice(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)
    )
    graph = trace(model.eval(), torch.randn(2, 3, 12, 12))
    scores = distances(model, graph)[graph.layer("0").outputs]
    expected = [a + b for a, b in zip(away(model[0].weight), away(model[1].inner.weight), strict=True)]
    assert scores.tolist() == pytest.approx(expected)


class Twice(nn.Module):
    """A residual block."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.inner(x))


def test_fpgm_is_that_of_torch_pruning_where_no_weight_is_negative():
    tp = pytest.importorskip("torch_pruning")
    model = build("plain")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()  # it takes distances of absolute weights
    graph = trace(model, inputs("plain", batch=2))
    scores = distances(model, graph)
    importance = tp.importance.FPGMImportance(p=1, group_reduction="first", normalizer=None)
    theirs = tp.DependencyGraph().build_dependency(model, example_inputs=inputs("plain", batch=1))
    for path in ("0", "4"):
        layer = model.get_submodule(path)
        places = list(range(layer.out_channels))
        group = theirs.get_pruning_group(layer, tp.prune_conv_out_channels, idxs=places)
        expected = importance(group)
        assert len(set(expected.tolist())) > 2
        assert scores[graph.layer(path).outputs].tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_hrank_is_the_average_rank_of_the_maps_behind_norm_and_activation():
    model, graph = traced("plain")
    images = inputs("plain", batch=6)
    scores = ranks(model, graph, images)
    with torch.no_grad():
        for path, stop in (("0", 3), ("4", 7)):
            maps = model[:stop](images)
            expected = np.linalg.matrix_rank(maps.numpy()).mean(0)
            assert len(set(expected.tolist())) > 1
            assert scores[graph.layer(path).outputs].tolist() == pytest.approx(expected.tolist())


def test_the_rank_of_a_number_says_whether_it_is_zero():
    assert map_ranks(torch.tensor([[0.0, 2.0, -1.0]])).tolist() == [[0, 1, 1]]
    assert map_ranks(torch.tensor([[[0.0, 0.0], [0.0, 3.0]]])).tolist() == [[0, 1]]  # maps of one dimension


def test_the_rank_of_a_map_is_that_of_linear_algebra():
    generator = torch.Generator().manual_seed(0)
    maps = torch.stack(
        [torch.randn(7, k, generator=generator) @ torch.randn(k, 5, generator=generator) for k in (1, 3, 5)]
    )
    maps = torch.cat([maps, torch.zeros(1, 7, 5)])[None]
    assert map_ranks(maps).tolist() == [[1, 3, 5, 0]]
    assert map_ranks(maps[:, :1].bfloat16()).shape == (1, 1)  # for which there is no decomposition


def test_maps_of_a_residual_block_are_taken_behind_its_sum():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), Twice(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)
    )
    graph = trace(model.eval(), torch.randn(2, 3, 12, 12))
    nodes = {node.name: node for node in graph.program.nodes}
    ends = {layer.name: settled(nodes[layer.node], graph).name for layer in graph.layers}
    assert ends["1.inner"].startswith("relu")
    assert ends["0"] == graph.layer("0").node  # two operators read it
    assert settled(nodes[graph.layer("4").node], graph) is nodes[graph.layer("4").node]


@pytest.mark.parametrize("name", list(TINY)[::3])
def test_networks_of_all_kinds_have_scores_of_both(name):
    model, graph = traced(name)
    images = inputs(name, batch=5)
    before = images.clone()
    for criterion in ("fpgm", "hrank"):
        scores = CRITERIA[criterion].score(Context(model, graph, (0, 2), images, {}))
        assert scores.shape == (graph.width,)
        assert bool(torch.isfinite(scores).all())
        assert float(scores[graph.cuttable].max()) > 0
    assert torch.equal(images, before)

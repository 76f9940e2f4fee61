"""What a network takes by a table: layers with what follows them, the rest, and what the whole network took."""

import pytest
import torch

from model_lego.errors import BadConfig
from model_lego.graph import keep_all, select
from model_lego.latency.chains import chains, rest
from model_lego.latency.network_times import network_times
from tests.support.latency_tables import by_formula, macs_of, some_of
from tests.support.plans import traced


def kept(graph, share, seed=0):
    return select(graph, some_of(graph, share, seed), logits=range(len(graph.head))).keep


@pytest.mark.parametrize("name", ["plain", "residual", "depthwise", "grouped", "concat"])
def test_slopes_are_what_a_network_takes_more_for_one_more_channel(name):
    _, graph = traced(name)
    times = network_times(graph, by_formula(graph, macs_of(graph)))
    keep = kept(graph, 0.6)
    slopes = times.slopes(keep)
    for group in graph.groups:
        gone = group.channels[~keep[group.channels]]
        if not len(gone):
            continue
        more = keep.clone()
        more[gone[0]] = True
        both = (times.of(more) - times.of(keep)) / times.whole
        assert float(slopes[gone[0]]) == pytest.approx(float(both.mean()), rel=0.35)


def test_what_the_layers_do_not_take_is_the_rest_which_shrinks_with_the_channels():
    _, graph = traced("residual")
    layers = network_times(graph, by_formula(graph, macs_of(graph))).whole
    whole = 2 * float(layers[0])
    times = network_times(graph, by_formula(graph, macs_of(graph), whole=whole, overhead=(0.1, 0.1)))
    assert times.whole.tolist() == pytest.approx([whole, 4 * whole])
    keep = kept(graph, 0.3)
    assert bool((times.of(keep) < times.whole).all())
    assert sum(rest(graph, chains(graph)).values()) > 0


def test_layers_that_take_less_among_each_other_are_scaled():
    _, graph = traced("plain")
    alone = network_times(graph, by_formula(graph, macs_of(graph)))
    together = network_times(graph, by_formula(graph, macs_of(graph), whole=0.5 * float(alone.whole[0])))
    keep = kept(graph, 0.4)
    assert torch.allclose(together.of(keep), 0.5 * alone.of(keep))


def test_norms_activations_and_pools_go_with_their_layer():
    _, graph = traced("plain")
    kinds = [chain.kind for chain in chains(graph)]
    assert any("batch_norm" in kind or "relu" in kind for kind in kinds)
    assert "on the images" in kinds[0]
    _, graph = traced("depthwise")
    assert any("depthwise" in chain.kind for chain in chains(graph))


def test_a_table_of_another_network_is_refused_with_the_layer_that_it_lacks():
    _, graph = traced("plain")
    _, other = traced("depthwise")
    table = by_formula(other, macs_of(other))
    layer = chains(graph)[0].layer.name
    with pytest.raises(BadConfig, match=rf"it lacks \d+ of \d+ kinds of layers, such as that of '{layer}', conv2d"):
        network_times(graph, table)


def test_the_whole_network_keeps_all():
    _, graph = traced("plain")
    times = network_times(graph, by_formula(graph, macs_of(graph)))
    assert torch.equal(times.of(keep_all(graph).keep), times.whole)

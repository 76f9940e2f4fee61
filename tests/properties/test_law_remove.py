"""A component with fewer classes is what its source gives with the same channels; its other logits stay."""

import copy

import pytest
import torch

import model_lego as ml
from model_lego.assembly.uniting import unite
from model_lego.cutting.slicing import selection_of
from tests.properties.test_law_unite import component
from tests.support.components import share_plan
from tests.support.plans import traced
from tests.support.tiny_models import build, inputs

#: A network of each kind: cut by its own module as well as from the source, some take seconds.
KINDS = (
    "plain", "view_constant", "conv_head", "log_softmax_head", "residual", "residual_pad", "concat", "depthwise",
    "grouped", "split_halves", "se", "norm_groups", "shared", "tied", "auxiliary", "transposed_conv", "constants",
)  # fmt: skip


def shuffled(name, *, count=None):
    """A component with the classes of a network in an order that is not theirs, and some of its channels."""
    graph = traced(name)[1]
    logits = torch.randperm(len(graph.head), generator=torch.Generator().manual_seed(3)).tolist()
    return component(name, share_plan(graph, 0.6, seed=4, logits=logits[:count])).eval()


@pytest.mark.parametrize("name", KINDS)
def test_it_is_what_the_source_gives_with_these_channels(name):
    part, x = shuffled(name), inputs(name, batch=3)
    small = ml.remove_classes(part, [part.classes[0]])
    expected = component(name, selection_of(small, traced(name)[1])).eval()
    assert (small.classes, small.labels) == (part.classes[1:], part.labels[1:])
    assert small.origin.attributes == expected.origin.attributes
    assert small.origin.source_digest == part.origin.source_digest
    with torch.no_grad():
        assert torch.equal(small(x), expected(x))
        if name != "log_softmax_head":  # which knows all its logits
            torch.testing.assert_close(small(x), part(x)[:, 1:], rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:no sample of class")  # random networks are hardly ever right
@pytest.mark.parametrize("name", ["plain", "residual", "depthwise", "auxiliary", "tied"])
def test_with_images_it_is_cut_by_them_and_stays_a_component_of_its_source(name):
    model, graph = traced(name)
    part, x = shuffled(name, count=4), inputs(name, batch=40)
    batches = [(x, torch.arange(40) % 4)]
    small = ml.remove_classes(part, [part.classes[1]], batches, repair="none", forget=False, per_class=5)
    kept, before = selection_of(small, graph).keep, selection_of(part, graph).keep
    assert bool((kept <= before).all())
    assert int(kept.sum()) < int(before.sum())
    with torch.no_grad():
        assert torch.equal(small(x), component(name, selection_of(small, graph)).eval()(x))
        again = unite([small], model, graph=graph)
        assert torch.equal(again(x), small(x))


@pytest.mark.parametrize("name", ["plain", "auxiliary", "grouped"])
def test_saved_and_loaded_it_is_the_same(name, tmp_path):
    part, x = shuffled(name), inputs(name, batch=3)
    small = ml.remove_classes(ml.remove_classes(part, [part.classes[0]]), [part.classes[2]])
    ml.save(small, tmp_path / "small")
    loaded = ml.load(tmp_path / "small", factory=lambda: build(name))
    with torch.no_grad():
        assert torch.equal(loaded(x), small(x))
    assert loaded.origin == small.origin


@pytest.mark.filterwarnings("ignore:no sample of class")
def test_the_repair_pulls_it_towards_what_the_component_gave():
    part, x = shuffled("plain"), inputs("plain", batch=80)
    batches, rest = [(x, torch.arange(80) % 5)], [0, 1, 3, 4]
    bare, mended = (
        ml.remove_classes(part, [2], batches, repair=method, forget=False, thresholds=ml.Thresholds(0.5, 0.5, 0.5, 0.5))
        for method in ("none", "ridge")
    )
    with torch.no_grad():
        wanted = part(x)[:, rest]
        assert (mended(x) - wanted).norm() < 0.7 * (bare(x) - wanted).norm()
    assert mended.origin.settings["repair"]["images"] == 64  # those of the four classes that stay
    assert mended.origin.settings["cut_from"]["classes"] == list(part.classes)


@pytest.mark.filterwarnings("ignore:no sample of class")
def test_what_is_given_is_left_as_it_is():
    part, batches = shuffled("plain").train(), [(inputs("plain", batch=20), torch.arange(20) % 5)]
    before = copy.deepcopy(part.state_dict())
    for given in (None, batches):
        small = ml.remove_classes(part, [0], given)
        assert small.training
    assert all(torch.equal(before[key], value) for key, value in part.state_dict().items())
    assert part.training
    assert part.classes == shuffled("plain").classes

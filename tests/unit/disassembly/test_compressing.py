"""compress: all classes kept, within a budget."""

import pytest
import torch
from torch import nn

from model_lego import Budget, Component, compress, disassemble, load, save
from model_lego.errors import BadBatches, BadConfig, UnknownClass
from model_lego.parts.origin import Builder
from model_lego.parts.preprocessing import Preprocessing
from tests.support.plans import traced
from tests.support.tiny_models import TINY, build, inputs


def labelled(name, batch=60):
    images = inputs(name, batch=batch)
    with torch.no_grad():
        logits = build(name)(images)
    return [(images, ((logits - logits.mean(0)) / logits.std(0)).argmax(1))]


@pytest.fixture(scope="module")
def half():
    model, graph = traced("plain")
    return compress(model, labelled("plain"), Budget(macs=0.5), class_names=list("abcde"), graph=graph)


def test_all_classes_are_kept_in_the_order_of_the_source(half):
    assert isinstance(half, Component)
    assert half.classes == tuple("abcde")
    assert half.labels == (0, 1, 2, 3, 4)
    assert half(inputs("plain")).shape == (4, 5)


def test_the_budget_holds_and_is_used_up(half):
    before, after = half.origin.cost_before, half.origin.cost_after
    assert 0.4 * before.macs < after.macs <= 0.5 * before.macs
    assert half.origin.settings["budget"]["asked"] == {"macs": 0.5}


def test_it_is_the_component_for_all_classes_bit_by_bit(half):
    model, graph = traced("plain")
    whole = disassemble(
        model, labelled("plain"), classes=list("abcde"), class_names=list("abcde"), budget=Budget(macs=0.5), graph=graph
    )
    assert torch.equal(half(inputs("plain", seed=3)), whole(inputs("plain", seed=3)))
    assert half.origin == whole.origin


def test_repair_brings_it_nearer_to_the_source(half):
    model, graph = traced("plain")
    cut = compress(model, labelled("plain"), Budget(macs=0.5), class_names=list("abcde"), graph=graph, repair="none")
    assert cut.origin.kept_outputs == half.origin.kept_outputs
    images = labelled("plain")[0][0]
    with torch.no_grad():
        far, near = ((part(images) - model(images)).square().mean() for part in (cut, half))
    assert near < 0.5 * far


@pytest.mark.parametrize("name", [name for name in TINY if name not in ("conv1d",)][::6])
@pytest.mark.parametrize("criterion", ["fpgm", "hrank"])
def test_networks_of_many_kinds_are_compressed_by_the_published_criteria(name, criterion):
    model, graph = traced(name)
    part = compress(model, labelled(name), Budget(params=0.95), graph=graph, criterion=criterion, repair="none")
    assert part.origin.cost_after.parameters <= 0.95 * part.origin.cost_before.parameters
    assert part.origin.settings["budget"]["criterion"] == criterion
    assert len(part.classes) == len(graph.head)


def test_a_drop_is_measured_over_all_classes():
    model, graph = traced("plain")
    images = inputs("plain", batch=120)
    with torch.no_grad():
        answers = model(images).argmax(1)
    part = compress(model, [(images, answers)], Budget(accuracy_drop=10), graph=graph)
    reached = part.origin.settings["budget"]["reached"]
    assert reached["accuracy_drop"] <= 10
    assert reached["restricted"] == 100
    assert part.origin.cost_after.parameters < part.origin.cost_before.parameters


def test_a_compressed_network_can_be_saved_taken_apart_and_compressed_again(tmp_path):
    from model_lego.models import build as network

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = network("zoo:lenet5", num_classes=4, image_size=16, width=0.5).eval()
    batches = [(torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 4)]
    given = {"preprocessing": Preprocessing(mean=(0.5,), std=(0.5,)), "class_names": list("wxyz")}
    builder = Builder("zoo:lenet5", {"num_classes": 4, "image_size": 16, "width": 0.5})
    part = compress(model, batches, Budget(params=0.5), builder=builder, **given)
    save(part, tmp_path / "part")
    loaded = load(tmp_path / "part")
    assert torch.equal(loaded(batches[0][0]), part(batches[0][0]))
    again = compress(part.module, batches, Budget(params=0.5), **given)
    assert again.origin.cost_after.parameters < 0.51 * part.origin.cost_after.parameters
    two = disassemble(part.module, batches, classes=["y", "w"], sampling="all", **given)
    assert two(batches[0][0]).shape == (40, 2)


def test_the_source_is_left_as_it_is():
    model = build("residual")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compress(model, labelled("residual"), Budget(macs=0.4))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"budget": Budget(macs=1e-6)}, BadConfig, "cannot be met: the smallest component"),
        ({"criterion": "luck"}, BadConfig, "criterion 'luck' is unknown; use one of"),
        ({"class_names": ["a", "b"]}, UnknownClass, "2 class names were given, but the network has 5 logits"),
        ({"budget": 0.5}, BadConfig, "give a Budget, for instance"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(given, error, words):
    model, graph = traced("plain")
    with pytest.raises(error, match=words):
        compress(model, labelled("plain"), **({"budget": Budget(macs=0.5), "graph": graph} | given))


def test_batches_that_can_be_read_only_once_are_refused():
    with pytest.raises(BadBatches):
        compress(nn.Flatten(), iter(labelled("plain")), Budget(macs=0.5))

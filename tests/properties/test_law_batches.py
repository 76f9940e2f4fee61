"""Laws 5 and 6: neither how batches are split nor in which order things are numbered changes what is found."""

import copy
import functools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from model_lego.attribution import ContributionStats, Thresholds, attribute, locate
from model_lego.attribution.statistics import LayerStats
from model_lego.data import ImageSet, batches
from model_lego.graph import ChannelGraph
from tests.support.plans import traced
from tests.support.tiny_models import inputs
from tests.support.whole_networks import HEADS, ZOO, lively

NETWORKS = ("plain", "residual", "grouped", "se", "depthwise", "conv1d")
COUNT = 300  # several of the micro-batches in which contributions are summed
THRESHOLDS = (Thresholds(), Thresholds(0.1, 0.5, 0.2, 0.6), Thresholds(0.6, 0.1, 0.7, 0.1))

Batch = tuple[Tensor, Tensor]


@functools.cache
def balanced(name: str) -> tuple[nn.Module, ChannelGraph, Batch]:
    """A tiny network with its biases so that it answers with several classes; its answers are the labels of images."""
    source, graph = traced(name)
    model, x = copy.deepcopy(source), inputs(name, batch=COUNT, seed=11)
    head = next(layer for layer in graph.layers if torch.equal(layer.outputs, graph.head))
    with torch.no_grad():
        model.get_submodule(head.name).bias.sub_(model(x).mean(dim=0))
        labels = model(x).argmax(dim=1)
    assert len(present((x, labels))) > 2
    return model, graph, (x, labels)


def split(batch: Batch, size: int, order: Tensor | None = None) -> list[Batch]:
    x, labels = batch if order is None else (batch[0][order], batch[1][order])
    return list(zip(x.split(size), labels.split(size), strict=True))


def present(batch: Batch) -> list[int]:
    return sorted(set(batch[1].tolist()))


def shuffled(count: int, seed: int = 5) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def assert_same(one: ContributionStats, two: ContributionStats, *, bits: bool = False) -> None:
    assert one.classes == two.classes
    assert one.counts == two.counts
    assert list(one.layers) == list(two.layers)
    for name, layer in one.layers.items():
        for a, b in zip(held(layer), held(two.layers[name]), strict=True):
            assert torch.equal(a, b) if bits else (a - b).abs().max() <= 1e-12 * a.abs().max(), name


def held(layer: LayerStats) -> list[Tensor]:
    """What is summed, a row for each class: to unfold it for a matrix of 4,096 x 25,088 would take a minute."""
    if layer.sums is not None:
        return list(layer.sums)
    return [*layer.positive, *layer.negative]


@pytest.mark.parametrize("name", NETWORKS)
def test_other_splits_and_orders_give_the_same_sums(name):
    model, graph, batch = balanced(name)
    whole = attribute(model, split(batch, COUNT), graph=graph, sampling="all")
    assert sum(whole.counts) == COUNT
    assert max(float(layer.summed(whole.counts.index(max(whole.counts))).max()) for layer in whole.layers.values()) > 0
    for size in (1, 7, 50, 128):
        assert_same(whole, attribute(model, split(batch, size), graph=graph, sampling="all"))
    assert_same(whole, attribute(model, split(batch, 37, shuffled(COUNT)), graph=graph, sampling="all"))


@pytest.mark.parametrize("name", NETWORKS)
def test_other_splits_and_orders_choose_the_same_confident_samples(name):
    model, graph, batch = balanced(name)
    options = {"graph": graph, "classes": present(batch), "per_class": 9}
    whole = attribute(model, split(batch, COUNT), **options)
    assert max(whole.counts) == 9
    assert_same(whole, attribute(model, split(batch, 13), **options))
    assert_same(whole, attribute(model, split(batch, 50, shuffled(COUNT)), **options))
    every = attribute(model, split(batch, COUNT), graph=graph, classes=present(batch), sampling="all")
    assert whole.counts != every.counts


def test_the_same_micro_batches_give_the_same_bits():
    model, graph, batch = balanced("residual")
    once = attribute(model, split(batch, 128), graph=graph, sampling="all")
    assert_same(once, attribute(model, split(batch, 128), graph=graph, sampling="all"), bits=True)
    for size in (16, 64):  # small batches are put together to the same 128
        assert_same(once, attribute(model, split(batch, size), graph=graph, sampling="all"), bits=True)
    options = {"graph": graph, "classes": present(batch), "per_class": 20, "sampling": "random"}
    once = attribute(model, split(batch, 50), seed=1, **options)
    assert_same(once, attribute(model, split(batch, 50), seed=1, **options), bits=True)
    other = attribute(model, split(batch, 50), seed=2, **options)
    assert any(not torch.equal(one.summed(0), other.layers[name].summed(0)) for name, one in once.layers.items())


def test_other_classes_do_not_sway_the_statistics_of_a_class():
    model, graph, batch = balanced("plain")
    every = attribute(model, split(batch, 50), graph=graph, sampling="all")
    for label in present(batch):
        alone = attribute(model, split(batch, 50), graph=graph, classes=[label], sampling="all")
        for layer in every.layers:
            torch.testing.assert_close(alone.mean(layer, label), every.mean(layer, label), rtol=1e-12, atol=1e-13)


def test_batches_without_an_image_of_the_classes_change_nothing():
    """Many images sorted by class, behind which whole batches of other classes are not even read."""
    model, graph, (x, labels) = balanced("residual")
    first = int(labels.min())
    mine, others = (labels == first).nonzero()[:, 0], (labels != first).nonzero()[:, 0]
    order = torch.cat([mine.repeat(-(-128 // len(mine)))[:128], others])
    sorted_by_class = ImageSet(labels[order], x.__getitem__, order)
    found = attribute(model, batches(sorted_by_class, batch_size=64), graph=graph, classes=[first], sampling="all")
    expected = attribute(model, [(x[order], labels[order])], graph=graph, classes=[first], sampling="all")
    assert_same(found, expected)


def test_an_image_under_two_labels_stands_for_the_class_it_was_chosen_for():
    model, graph, (x, labels) = balanced("plain")
    first, second = present((x, labels))[:2]
    twice, other = x[labels == first][:1], x[labels == second][:1]
    images = torch.cat([twice, other, twice])
    batches = [(images, torch.tensor([second, second, first]))]  # the first label is wrong
    stats = attribute(model, batches, graph=graph, classes=[first, second], per_class=1)
    assert stats.counts == (1, 1)


# ------------------------------------------------------------------------------------------------ law 6: numbering


def kept_at(graph: ChannelGraph, keep: Tensor, layer: str) -> list[int]:
    return keep[graph.layer(layer).inputs].nonzero().flatten().tolist()


def move_classes(model: nn.Module, head: str, order: Sequence[int]) -> nn.Module:
    """A copy whose class i is class order[i] of the model."""
    twin = copy.deepcopy(model)
    layer = twin.get_submodule(head)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[list(order)].clone())
        layer.bias.copy_(layer.bias[list(order)].clone())
    return twin


@pytest.mark.parametrize("sampling", ["all", "confident"])
@pytest.mark.parametrize(("name", "head"), [("plain", "11"), ("residual", "4.linear"), ("conv_head", "classifier.1")])
def test_permuting_the_classes_permutes_statistics_and_selection(name, head, sampling):
    check_moved_classes(*balanced(name), head, torch.tensor([2, 4, 0, 3, 1]), sampling=sampling)


def check_moved_classes(
    model: nn.Module, graph: ChannelGraph, batch: Batch, head: str, order: Tensor, *, sampling: str
) -> None:
    moved, labels = move_classes(model, head, order.tolist()), torch.argsort(order)[batch[1]]
    old, chosen = present(batch), [int(torch.argsort(order)[label]) for label in present(batch)]
    options = {"graph": graph, "per_class": 20 if sampling == "confident" else None, "sampling": sampling}
    before = attribute(model, split(batch, 50), classes=old, **options)
    after = attribute(moved, split((batch[0], labels), 50), classes=chosen, **options)
    assert before.counts == after.counts
    for layer in before.layers:
        for found, expected in zip(held(after.layers[layer]), held(before.layers[layer]), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)  # both in the order of `old`
    for was, now in zip(old, chosen, strict=True):
        torch.testing.assert_close(after.mean(head, now), before.mean(head, was)[order], rtol=1e-10, atol=1e-12)
    hidden = ~graph.is_head
    for thresholds in THRESHOLDS:
        for count in (1, 2):
            was = locate(graph, before, classes=old[:count], thresholds=thresholds)
            now = locate(graph, after, classes=chosen[:count], thresholds=thresholds)
            assert torch.equal(was.keep[hidden], now.keep[hidden])
            assert not bool(was.keep[hidden].all())
            assert (was.logits, now.logits) == (tuple(old[:count]), tuple(chosen[:count]))


#: Network -> modules whose outputs (first) and inputs (second) are the channels of one hidden stream; the layer to ask.
STREAMS = {
    ("plain", "4"): (["0", "1"], ["4"]),
    ("plain", "9"): (["4", "5"], ["9"]),
    ("plain", "11"): (["9"], ["11"]),
    ("residual", "1.a.0"): (["0.0", "0.1", "1.b.0", "1.b.1"], ["1.a.0", "2.a.0", "2.shortcut.0"]),
    ("se", "2.0"): (["0.0", "0.1", "1.excite"], ["1.squeeze", "2.0"]),
    ("depthwise", "1.body.1.0"): (["1.body.0.0", "1.body.0.1", "1.body.1.0", "1.body.1.1"], ["1.body.2.0"]),
}


def move_channels(model: nn.Module, writers: Sequence[str], readers: Sequence[str], order: Tensor) -> nn.Module:
    """A copy whose hidden channel i is channel order[i] of the model; it computes the same."""
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for path in writers:
            module = twin.get_submodule(path)
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.dim():  # not BatchNorm's count of batches
                    tensor.copy_(tensor[order].clone())
        for path in readers:
            weight = twin.get_submodule(path).weight
            block = weight.shape[1] // len(order)  # features a channel, behind a flatten
            features = (order[:, None] * block + torch.arange(block)).flatten()
            weight.copy_(weight[:, features].clone())
    return twin


@pytest.mark.parametrize(("name", "asked"), STREAMS)
def test_permuting_the_channels_of_a_layer_permutes_the_selection(name, asked):
    check_moved_channels(*balanced(name), *STREAMS[name, asked], asked=asked)


def check_moved_channels(
    model: nn.Module, graph: ChannelGraph, batch: Batch, writers: Sequence[str], readers: Sequence[str], *, asked: str
) -> None:
    width = model.get_submodule(writers[0]).weight.shape[0]
    order = shuffled(width, seed=2)
    moved = move_channels(model, writers, readers, order)
    with torch.no_grad():
        torch.testing.assert_close(moved(batch[0]), model(batch[0]), rtol=1e-9, atol=1e-9)
    classes = present(batch)[:2]
    options = {"graph": graph, "classes": classes, "sampling": "all"}
    before = attribute(model, split(batch, 50), **options)
    after = attribute(moved, split(batch, 50), **options)
    asked_layer = graph.layer(asked)
    block = len(asked_layer.inputs) // width
    cut_somewhere = False
    for thresholds in THRESHOLDS:
        was = locate(graph, before, classes=classes, thresholds=thresholds).keep
        now = locate(graph, after, classes=classes, thresholds=thresholds).keep
        old = {place // block for place in kept_at(graph, was, asked)}
        new = {place // block for place in kept_at(graph, now, asked)}
        assert {int(order[place]) for place in new} == old
        cut_somewhere |= len(old) < width
        others = torch.ones(graph.width, dtype=torch.bool)
        others[asked_layer.inputs] = False
        assert torch.equal(was[others], now[others])
    assert cut_somewhere


def test_the_order_of_the_classes_asked_for_is_the_order_of_the_logits_and_nothing_else():
    model, graph, batch = balanced("residual")
    classes = present(batch)
    stats = attribute(model, split(batch, 50), graph=graph, classes=classes, sampling="all")
    one, two = (locate(graph, stats, classes=asked) for asked in (classes, classes[::-1]))
    assert torch.equal(one.keep, two.keep)
    assert (one.logits, two.logits) == (tuple(classes), tuple(classes[::-1]))


# ----------------------------------------------------------------------------------------------------- whole networks


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_other_splits_and_orders_of_a_torchvision_network_give_the_same_statistics(name):
    model, graph, (x, labels) = lively(name)
    batch = x[:24], labels[:24]
    for sampling, per_class in (("all", None), ("confident", 3)):
        options = {"graph": graph, "classes": present(batch), "sampling": sampling, "per_class": per_class}
        whole = attribute(model, split(batch, 17), **options)
        assert_same(whole, attribute(model, split(batch, 5, shuffled(len(batch[1]))), **options))


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_permuting_the_classes_of_a_torchvision_network_permutes_the_result(name):
    model, graph, (x, labels) = lively(name)
    order = shuffled(len(graph.head))
    check_moved_classes(model, graph, (x[:40], labels[:40]), HEADS[name], order, sampling="all")


#: Network -> modules whose outputs (first) and inputs (second) are the channels of one hidden stream.
WHOLE_STREAMS = {
    "vgg11_bn": (["features.8", "features.9"], ["features.11"]),
    "resnet18": (
        ["conv1", "bn1", *(f"layer1.{block}.{kind}2" for block in (0, 1) for kind in ("conv", "bn"))],
        ["layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "layer2.0.downsample.0"],
    ),
    "resnet50": (
        [
            *("layer2.0.downsample.0", "layer2.0.downsample.1"),
            *(f"layer2.{block}.{kind}3" for block in range(4) for kind in ("conv", "bn")),
        ],
        [*(f"layer2.{block}.conv1" for block in (1, 2, 3)), "layer3.0.conv1", "layer3.0.downsample.0"],
    ),
    "googlenet": (["inception4b.branch2.0.conv", "inception4b.branch2.0.bn"], ["inception4b.branch2.1.conv"]),
    "densenet121": (
        ["features.denseblock2.denselayer3.conv1", "features.denseblock2.denselayer3.norm2"],
        ["features.denseblock2.denselayer3.conv2"],
    ),
    "mobilenet_v2": ([f"features.4.conv.{path}" for path in ("0.0", "0.1", "1.0", "1.1")], ["features.4.conv.2"]),
    "efficientnet_b0": (
        [f"features.3.0.block.{path}" for path in ("0.0", "0.1", "1.0", "1.1", "2.fc2")],
        ["features.3.0.block.2.fc1", "features.3.0.block.3.0"],
    ),
    "squeezenet1_1": (["features.6.squeeze"], ["features.6.expand1x1", "features.6.expand3x3"]),
}


@pytest.mark.zoo
@pytest.mark.parametrize("name", ZOO)
def test_permuting_the_channels_of_a_torchvision_network_permutes_the_selection(name):
    model, graph, (x, labels) = lively(name)
    writers, readers = WHOLE_STREAMS[name]
    check_moved_channels(model, graph, (x[:40], labels[:40]), writers, readers, asked=readers[-1])

"""The images that channels answer to most, against loops over all images."""

import dataclasses

import pytest
import torch
from torch import nn

import model_lego as ml
from model_lego.data.sets import batches, in_memory
from model_lego.errors import BadConfig, ShapeMismatch
from tests.support.tiny_models import planted


class Small(nn.Module):
    """Two maps, of which the second is never positive, a layer over maps, one over flattened maps, one over vectors."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 1)
        self.conv2 = nn.Conv2d(2, 3, 3, padding=1)
        self.fc1 = nn.Linear(3 * 16, 5)
        self.fc2 = nn.Linear(5, 2)

    def forward(self, x):
        x = self.conv2(torch.relu(self.conv1(x)).add_(0))
        return self.fc2(torch.relu(self.fc1(torch.relu(x).flatten(1))))


@pytest.fixture(scope="module")
def made():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, images = Small().double().eval(), torch.rand(30, 1, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        model.conv1.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        model.conv1.bias.zero_()
    return model, images, torch.arange(30) % 2, ml.trace(model, images[:2])


def heard(model, images):
    """What each layer reads of each channel, images x channels x positions, in plain calls."""
    with torch.no_grad():
        first = torch.relu(model.conv1(images))
        second = torch.relu(model.conv2(first))
        third = torch.relu(model.fc1(second.flatten(1)))
        logits = model.fc2(third)
    return {
        "conv1": images.flatten(2),
        "conv2": first.flatten(2),
        "fc1": second.flatten(2),
        "fc2": third[..., None],
    } | {"logits": logits[..., None]}


def test_the_images_with_the_largest_means_are_found_for_each_channel_that_a_layer_reads(made):
    model, images, labels, graph = made
    top = ml.top_images(model, [(images[:11], labels[:11]), (images[11:], labels[11:])], graph=graph, most=3)
    expected = heard(model, images)
    assert [layer.name for layer in top.layers] == list(expected)
    for name, values in expected.items():
        means, layer = values.mean(2), top.layer(name)
        assert layer.images.shape == (means.shape[1], 3)
        for channel, row in enumerate(means.T.tolist()):
            ranked = sorted(range(30), key=lambda image, row=row: -row[image])[:3]
            ranked = [image for image in ranked if row[image] > min(row)]
            assert [photo.number for photo in top.of(name, channel)] == ranked
            assert layer.answers[channel, : len(ranked)].tolist() == pytest.approx([row[image] for image in ranked])
    assert top.of("conv2", 1) == ()  # a channel that is never positive answers to nothing
    assert top.photos[7].label.startswith("1@")


def test_the_place_is_where_the_channel_is_largest(made):
    model, images, labels, graph = made
    top = ml.top_images(model, [(images, labels)], graph=graph)
    layer = top.layer("conv2")
    for image, (down, across) in zip(layer.images[0].tolist(), layer.spots[0].tolist(), strict=True):
        place = int(images[image].flatten().argmax())
        assert (down, across) == ((place // 4 + 0.5) / 4, (place % 4 + 0.5) / 4)
    assert all(bool(top.layer(name).spots.isnan().all()) for name in ("fc1", "fc2", "logits"))


def test_a_bounded_number_of_images_is_looked_at_whatever_the_batches(made):
    model, images, labels, graph = made
    found = ml.top_images(model, [(images[:4], labels[:4]), (images[4:], labels[4:])], graph=graph, images=6)
    assert [photo.number for photo in found.photos] == list(range(6))
    assert int(found.layer("fc2").images.max()) < 6
    some = batches(in_memory(images, labels), batch_size=4)
    sample = ml.top_images(model.float(), some, graph=graph, images=6, seed=3)
    numbers = [photo.number for photo in sample.photos]
    assert numbers == sorted(numbers) != list(range(6))
    for photo in sample.photos:
        assert torch.equal(photo.pixels, (255 * images[photo.number]).round().to(torch.uint8))
    model.double()


def test_images_are_shown_as_they_are_given_and_called_by_their_class(made):
    model, images, labels, graph = made
    pre = ml.Preprocessing((0.5,), (0.5,))
    bare = ml.top_images(model, [(pre(images), labels)], graph=graph)
    shown = ml.top_images(model, [(images, labels)], graph=graph, preprocessing=pre, class_names=["odd", "even"])
    assert all(torch.equal(a.images, b.images) for a, b in zip(bare.layers, shown.layers, strict=True))
    assert torch.equal(shown.photos[3].pixels, (255 * images[3]).round().to(torch.uint8))
    assert [photo.label for photo in shown.photos[:2]] == ["odd", "even"]


def test_routes_take_their_own_networks_images_alone(made):
    model, images, labels, graph = made
    stats = ml.attribute(model, [(images, labels)], graph=graph, sampling="all")
    routes = ml.decision_routes(model, stats, [0, 1], graph=graph)
    top = ml.top_images(model, [(images, labels)], graph=graph)
    assert routes.top is None
    told = routes.with_top_images(top).to_dict()["top_images"]
    assert told["images"] == 30
    assert told["layers"]["fc2"] == {
        str(channel): [photo.number for photo in top.of("fc2", channel)]
        for channel in routes.layer("fc2").inputs.any(0).nonzero().flatten().tolist()
    }
    with pytest.raises(BadConfig, match="another network's channels"):
        routes.with_top_images(dataclasses.replace(top, source="0" * 64))


def test_what_cannot_be_shown_is_refused(made):
    model, images, labels, graph = made
    with pytest.raises(BadConfig, match="of 0 images"):
        ml.top_images(model, [(images, labels)], graph=graph, images=0)
    deep = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(2, 2)).eval()
    four = torch.rand(2, 4, 1, 1)
    with pytest.raises(ShapeMismatch, match=r"\(4, 1, 1\) are no pictures"):
        ml.top_images(deep, [(four, torch.tensor([0, 1]))], graph=ml.trace(deep, four))


def test_a_channel_that_was_planted_for_a_class_answers_to_its_images():
    model, images, labels, expected = planted(4)
    graph = ml.trace(model, images[:2])
    top = ml.top_images(model, [(images, labels)], graph=graph)
    for label, channels in expected["fc2"].items():
        for channel in channels:
            for_it = {str(one) for one, theirs in expected["fc2"].items() if channel in theirs}
            seen = {photo.label.partition("@")[0] for photo in top.of("fc2", channel)}
            assert str(label) in for_it
            assert seen
            assert seen <= for_it

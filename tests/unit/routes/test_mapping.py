"""contribution_maps: what single samples contribute, and how alike they are."""

import numpy as np
import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig
from tests.support.plans import traced
from tests.support.tiny_models import inputs, planted


def mapped(**settings):
    model, images, labels, _ = planted(4)
    graph = ml.trace(model, images[:2])
    batches = list(zip(images.split(5), labels.split(5), strict=True))
    return model, graph, ml.contribution_maps(model, batches, [2, 0], graph=graph, **settings)


def test_rows_are_those_of_the_routes():
    model, graph = traced("plain")
    images = inputs("plain", batch=15)
    with torch.no_grad():
        labels = model(images).argmax(1)
    classes = labels.unique().tolist()
    stats = ml.attribute(model, [(images, labels)], graph=graph, classes=classes, sampling="all")
    maps = ml.contribution_maps(model, [(images, labels)], classes, graph=graph, stats=stats, samples=15)
    of_classes = ml.decision_routes(model, stats, classes, graph=graph)
    of_images = ml.decision_routes(model, None, graph=graph, images=images)
    for layer, rows, singles in zip(maps.layers, of_classes.layers, of_images.layers, strict=True):
        assert torch.equal(layer.classes, rows.contributions)
        order = labels.argsort(stable=True)
        assert torch.allclose(layer.samples, singles.contributions[order])
    assert [maps.classes[place] for place in maps.places] == [
        of_classes.names[classes.index(x)] for x in labels.sort().values
    ]


def test_samples_of_a_planted_class_are_alike_and_others_are_not():
    _, _, maps = mapped(samples=3)
    assert maps.labels == (2, 0)
    assert maps.places == (0, 0, 0, 1, 1, 1)
    assert all(layer.samples.shape == (6, len(layer.reads)) for layer in maps.layers)
    for name, (same, different) in zip([x.name for x in maps.layers], maps.likeness().tolist(), strict=True):
        if name != "conv1":
            assert same > 0.95
            assert different < 0.6


def test_likeness_is_the_mean_correlation_of_pairs():
    _, _, maps = mapped(samples=2)
    rows = maps.layer("fc1").samples.double().numpy()
    table = np.corrcoef(rows)
    same = [table[0, 1], table[2, 3]]
    different = [table[i, j] for i in (0, 1) for j in (2, 3)]
    place = [layer.name for layer in maps.layers].index("fc1")
    np.testing.assert_allclose(maps.likeness()[place], [np.mean(same), np.mean(different)], rtol=1e-9)


def test_the_seed_decides_which_samples():
    first, again, other = (mapped(samples=2, seed=seed)[2].layer("conv2").samples for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_maps_as_a_table_and_as_json():
    _, _, maps = mapped(samples=1)
    told = maps.to_dict()
    assert told["layers"][0]["same_class"] is None  # no two samples of a class
    assert str(maps).splitlines()[1].split()[1] == "-"
    assert len(told["layers"][1]["samples"]) == 2


@pytest.mark.parametrize(("settings", "words"), [({"samples": 0}, "at least 1"), ({"sampling": "all"}, "random")])
def test_what_cannot_be_mapped_is_refused(settings, words):
    with pytest.raises(BadConfig, match=words):
        mapped(**settings)


def test_classes_have_the_names_of_the_source():
    names = ["red", "green", "blue", "grey"]
    assert mapped(samples=1, class_names=names)[2].classes == ("blue", "red")

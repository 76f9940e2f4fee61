"""The routes of each part: those of its own classes, in the network that it runs in."""

import re

import pytest
import torch

import model_lego as ml
from model_lego.errors import UnknownClass
from model_lego.report import part_routes
from tests.support.tiny_models import planted

NAMES = ["red", "green", "blue", "grey"]
CLASSES = (["grey", "red"], ["green", "blue"])
MODEL, IMAGES, LABELS, EXPECTED = planted(4)
BATCHES = [(IMAGES[:17], LABELS[:17]), (IMAGES[17:], LABELS[17:])]


def component(classes):
    return ml.disassemble(MODEL, BATCHES, classes=classes, class_names=NAMES, repair="none", thresholds=ml.Thresholds())


@pytest.fixture(scope="module")
def parts():
    return [component(classes) for classes in CLASSES]


def found_in_source(routes, part, layer):
    """For each class the channels that a layer reads, by the numbers of the source."""
    kept = part.origin.kept_inputs[layer]
    inputs = routes.layer(layer).inputs
    return {
        name: {kept[at] for at in used.nonzero().flatten()} for name, used in zip(routes.names, inputs, strict=True)
    }


def used(routes):
    """For each layer how many channels each class uses."""
    return {layer.name: layer.outputs.sum(1).tolist() for layer in routes.layers}


def test_each_part_has_the_routes_that_were_planted_for_its_own_classes(parts):
    assembly = ml.assemble(parts)
    found = part_routes(assembly, BATCHES, class_names=NAMES)
    assert [routes.names for routes in found] == [("grey", "red"), ("green", "blue")]
    for routes, part in zip(found, parts, strict=True):
        for layer in ("conv2", "fc2"):  # fc1 reads pixels
            expected = {name: EXPECTED[layer][NAMES.index(name)] for name in part.classes}
            assert found_in_source(routes, part, layer) == expected


def test_a_component_is_its_only_part(parts):
    (routes,) = part_routes(parts[0], BATCHES, class_names=NAMES)
    (mine,) = part_routes(ml.assemble(parts[:1]), BATCHES, class_names=NAMES)
    assert torch.equal(routes.relevant, mine.relevant)
    assert routes.names == mine.names == ("grey", "red")


def test_labels_are_positions_in_the_classes_unless_they_are_named(parts):
    assembly = ml.assemble(parts)
    own = [(IMAGES, torch.tensor([assembly.classes.index(NAMES[label]) for label in LABELS.tolist()]))]
    others = [(torch.cat([IMAGES, torch.rand_like(IMAGES)]), torch.cat([LABELS, torch.full_like(LABELS, 4)]))]
    by_position, by_name, beside = (
        part_routes(assembly, batches, class_names=names)
        for batches, names in ((own, None), (BATCHES, NAMES), (others, [*NAMES, "something else"]))
    )
    for one, two, three in zip(by_position, by_name, beside, strict=True):
        assert torch.equal(one.relevant, two.relevant)
        assert torch.equal(two.relevant, three.relevant)
        assert one.relevant.any()


def test_parts_of_a_dense_network_keep_to_their_own_channels(parts):
    dense = part_routes(ml.assemble(parts, layout="padded"), BATCHES, class_names=NAMES)
    beside = part_routes(ml.assemble(parts), BATCHES, class_names=NAMES)
    assert [routes.names for routes in dense] == [tuple(classes) for classes in CLASSES]
    assert [used(routes) for routes in dense] == [used(routes) for routes in beside]
    first, second = (routes.relevant.any(0) & routes.cuttable for routes in dense)
    assert first.any()
    assert not bool((first & second).any())
    logits = [layer.outputs.nonzero()[:, 1].tolist() for layer in (routes.layers[-1] for routes in dense)]
    assert logits == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("surer", "other"), [(0, "2.red"), (1, "1.red")])
def test_a_class_of_two_parts_has_a_route_in_each(surer, other):
    both = [component(["grey", "red"]), component(["blue", "red"])]
    with torch.no_grad():
        both[surer].module.fc2.bias[1] += 1  # red's logits would tie: the last bits of a processor would choose
    beside = part_routes(ml.assemble(both, on_clash="prefer"), BATCHES, class_names=NAMES)
    padded = ml.assemble(both, layout="padded", on_clash="prefer")
    with pytest.warns(UserWarning, match=rf"no sample of class '{re.escape(other)}'"):  # the surer part takes them all
        dense = part_routes(padded, BATCHES, class_names=NAMES)
    for routes_of_parts in (beside, dense):
        assert [routes.names for routes in routes_of_parts] == [("grey", "red"), ("blue", "red")]
        assert all(bool(routes.relevant.any(1).all()) for routes in routes_of_parts)


def test_a_single_logit_has_no_routes_unless_it_stands_beside_others(parts):
    alone = component(["green"])
    assert part_routes(alone, BATCHES, class_names=NAMES) == (None,)
    beside = part_routes(ml.assemble([alone, parts[0]]), BATCHES, class_names=NAMES)
    assert [routes and routes.names for routes in beside] == [None, ("grey", "red")]
    dense = part_routes(ml.assemble([alone, parts[0]], layout="padded"), BATCHES, class_names=NAMES)
    assert [routes.names for routes in dense] == [("green",), ("grey", "red")]


def test_of_many_parts_the_first_classes_are_routed(monkeypatch):
    monkeypatch.setattr("model_lego.report.seats.MOST_SUBJECTS", 5)
    assembly = ml.assemble(
        [component(["red", "green", "blue"]), component(["grey", "red", "green"])], on_clash="prefer"
    )
    found = part_routes(assembly, BATCHES, class_names=NAMES)
    assert [routes.names for routes in found] == [("red", "green"), ("grey", "red")]


def test_parts_whose_classes_the_labels_do_not_have_are_refused(parts):
    with pytest.raises(UnknownClass, match="'blue'"):
        part_routes(ml.assemble(parts), BATCHES, class_names=["red", "green", "white", "grey"])

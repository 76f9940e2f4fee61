"""Every verb takes classes and their names in the forms in which people have them."""

import numpy as np
import pytest
import torch

import model_lego as ml
from tests.support.squares import CLASSES, pictures, trained

#: As `class_to_idx` of a data set whose classes were found in another order.
MAPPING = {"dog": 3, "bee": 1, "cat": 2, "ant": 0}


@pytest.fixture(scope="module")
def network():
    return trained(seed=0)


@pytest.fixture(scope="module")
def batches():
    images, labels = pictures(24, seed=0)
    return [(images[:, None].float() / 255, labels)]


@pytest.mark.parametrize(
    "names",
    [MAPPING, {number: name for name, number in MAPPING.items()}, np.array(CLASSES)],
    ids=["to", "from", "array"],
)
def test_names_go_by_their_numbers_in_every_verb(network, batches, names):
    component = ml.disassemble(
        network, batches, classes=["dog", "ant"], class_names=names, repair="none", thresholds=ml.Thresholds()
    )
    assert (component.classes, component.labels) == (("dog", "ant"), (3, 0))
    assert ml.evaluate(component, batches, class_names=names).accuracy > 90
    rest = ml.remove_classes(component, ["dog"], batches, class_names=names, repair="none")
    assert rest.classes == ("ant",)
    other = ml.disassemble(
        network, batches, classes=["bee", "cat"], class_names=names, repair="none", thresholds=ml.Thresholds()
    )
    joined = ml.assemble([component, other], calibration=batches, class_names=names)
    assert ml.evaluate(joined, batches, class_names=names).accuracy > 90


@pytest.mark.parametrize(
    "classes",
    [np.array([3, 0]), torch.tensor([3, 0]), [np.int64(3), torch.tensor(0)], range(3, -1, -3), "3,0"],
    ids=str,
)
def test_numbers_of_any_library_are_numbers(network, batches, classes):
    graph = ml.trace(network, batches[0][0])
    stats = ml.attribute(network, batches, graph=graph, classes=classes)
    assert stats.classes == (3, 0)
    plain = ml.plan(network, batches, classes=[3, 0], graph=graph, stats=stats).selection
    assert torch.equal(ml.locate(graph, stats, classes=classes).keep, plain.keep)
    assert ml.plan(network, batches, classes=classes, graph=graph, stats=stats).labels == (3, 0)
    assert ml.decision_routes(network, stats, classes, graph=graph).labels == (3, 0)
    assert ml.contribution_maps(network, batches, classes, graph=graph, stats=stats, samples=1).labels == (3, 0)


@pytest.mark.parametrize("wrong", [[0, True], [0, 1.0], [0, torch.tensor(1.0)]], ids=str)
def test_other_values_are_no_classes(network, batches, wrong):
    graph = ml.trace(network, batches[0][0])
    for verb in (ml.plan, ml.disassemble, ml.attribute):
        with pytest.raises(ml.LegoError, match="label numbers as integers"):
            verb(network, batches, classes=wrong, graph=graph)


def test_a_gap_in_the_names_is_refused_by_name(network, batches):
    names = {"ant": 0, "bee": 1, "cat": 2, "dog": 4}
    with pytest.raises(ml.LegoError, match=r"no class has the number 3, but .* 'dog' has 4"):
        ml.disassemble(network, batches, classes=["dog"], class_names=names, thresholds=ml.Thresholds())
    with pytest.raises(ml.LegoError, match="'bee' and 'cat' have the same number, 1"):
        ml.compress(network, batches, ml.Budget(macs=0.5), class_names={"ant": 0, "bee": 1, "cat": 1, "dog": 3})

"""What size a component has where nothing says it: the smallest that loses at most one point, or the paper's."""

import pytest
import torch

import model_lego as ml
from model_lego.errors import BadConfig
from tests.unit.verdicts.test_verdicts import blobs, colours

NETWORK = colours()
GIVEN = {"classes": [0, 2]}


@pytest.fixture(scope="module")
def taken():
    return ml.disassemble(NETWORK, blobs(900), **GIVEN)


def test_by_default_it_is_the_smallest_that_loses_at_most_one_point(taken):
    record, verdict = taken.origin.settings["budget"], taken.verdict
    assert record["asked"] == {"accuracy_drop": 1}
    assert (verdict.search.met, verdict.chosen, verdict.images) == (True, True, 200)
    assert verdict.lost <= 1
    assert verdict.interval[0] <= verdict.lost <= verdict.interval[1]
    assert taken.origin.cost_after.parameters < taken.origin.cost_before.parameters
    assert str(verdict.search).endswith("tried that loses at most one point on 200 held-out images")


def test_a_plan_keeps_the_same_channels_and_says_the_same(taken):
    planned = ml.plan(NETWORK, blobs(900), **GIVEN)
    assert ml.cut(NETWORK, planned).origin.kept_outputs == taken.origin.kept_outputs
    assert planned.verdict.search == taken.verdict.search


@pytest.mark.parametrize(
    "given", [{"thresholds": ml.Thresholds()}, {"sampling": "all"}, {"per_class": 9}, {"stats": 1}]
)
def test_what_is_said_of_thresholds_or_statistics_stands_for_the_paper(given):
    if "stats" in given:
        given = {"stats": ml.attribute(NETWORK, blobs(90), graph=ml.trace(NETWORK, blobs()[0][0]), classes=[0, 2])}
    settings = ml.plan(NETWORK, blobs(90), **GIVEN, **given).settings
    assert settings["thresholds"]["conv_alpha"] == ml.Thresholds().conv_alpha
    assert "budget" not in settings


def test_a_criterion_chooses_within_it_and_not_by_thresholds():
    settings = ml.plan(NETWORK, blobs(90), criterion="magnitude", **GIVEN).settings
    assert (settings["budget"]["asked"], settings["budget"]["criterion"]) == ({"accuracy_drop": 1}, "magnitude")
    with pytest.raises(BadConfig, match="chooses channels within a budget, not by thresholds; give a budget as well"):
        ml.plan(NETWORK, blobs(90), criterion="magnitude", thresholds=ml.Thresholds(), **GIVEN)


def test_few_images_keep_all_channels_and_it_is_said():
    with pytest.warns(ml.DoubtfulResult, match="20 held-out images are too few to tell whether more than one point is"):
        part = ml.disassemble(NETWORK, blobs(90), **GIVEN)
    images = blobs(5)[0][0]
    assert torch.equal(part(images), NETWORK(images)[:, [0, 2]])
    assert not part.verdict.search.met


def test_a_network_is_compressed_by_the_same_rule():
    part = ml.compress(NETWORK, blobs(600))
    assert part.labels == (0, 1, 2)
    assert part.verdict.search.met
    assert part.verdict.lost <= 1


def test_a_single_image_is_too_few_and_no_error():
    images, labels = blobs(3)[0]
    planned = ml.plan(NETWORK, [(images, labels)], classes=[1])
    assert (planned.verdict.search.met, planned.verdict.search.images, planned.verdict.lost) == (False, 1, 0.0)

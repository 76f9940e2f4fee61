"""Fifty random networks, always the same, put to all laws: `make fuzz-networks` tries thousands."""

import functools
import math

import pytest

from model_lego.attribution.contribution import FEW_PIXELS
from tests.fuzz.describing import Network, Step, build, images, rebuilt
from tests.fuzz.drawing import network
from tests.fuzz.trial import Outcome, tried

SEED, COUNT = 21, 50
pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about even kernels and sizes of one


@functools.cache
def outcome(number: int) -> Outcome:
    return tried(network(SEED, number))


@pytest.mark.parametrize("number", range(COUNT))
def test_what_a_random_network_becomes_is_right_or_it_is_refused(number):
    found = outcome(number)
    assert not found.failures, found
    assert not found.unusable, found


def drawn() -> list[Network]:
    return [network(SEED, number) for number in range(COUNT)]


def test_the_fifty_have_each_kind_of_step_and_both_sides_of_each_threshold():
    networks = drawn()
    assert set().union(*(each.kinds() for each in networks)) == set(Step.KINDS)
    for differ in ("single", "layout", "tight"):
        assert len({getattr(each, differ) for each in networks}) == 2
    assert {len(each.image) for each in networks} == {2, 3, 4}
    pixels = [math.prod(each.image[1:]) for each in networks]
    assert min(pixels) < FEW_PIXELS < max(pixels)


def test_most_of_the_fifty_are_cut():
    assert sum(outcome(number).is_cut for number in range(COUNT)) >= 0.8 * COUNT


def test_a_description_is_printed_as_what_makes_it():
    for each in drawn():
        assert rebuilt(repr(each)) == each


def test_a_description_makes_the_same_network_again():
    each = network(SEED, 0)
    x = images(each, 2)
    assert build(each)(x).equal(build(rebuilt(repr(each)))(x))

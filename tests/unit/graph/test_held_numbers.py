"""Numbers of channels in attributes: plain ones, and the one size of a shape."""

import pytest

from model_lego.graph.held_numbers import number_in, with_number


@pytest.mark.parametrize(
    ("value", "number", "changed"),
    [(64, 64, 9), ((64,), 64, (9,)), ((64, 1, 1), 64, (9, 1, 1)), ((1, 64, 1), 64, (1, 9, 1)), ((1,), 1, (9,))],
)
def test_a_number_is_found_and_replaced(value, number, changed):
    assert number_in(value) == number
    assert with_number(value, 9) == changed


@pytest.mark.parametrize("value", [True, 2.0, (), (3, 3), (1, 1), (64, None), "64", None, [64]])
def test_other_values_hold_none(value):
    assert number_in(value) is None

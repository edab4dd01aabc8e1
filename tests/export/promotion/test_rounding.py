"""Figures as a person reads them."""

import pytest

from export.promotion.rounding import short


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.05312, "0.0531"), (1240, "1240"), (1_234_567, "1230000"), (0.0000123, "0.0000123"), (0.0, "0")],
)
def test_three_significant_digits_are_shown_without_an_exponent(value, shown):
    assert short(value) == shown


def test_a_figure_just_off_its_bound_never_looks_equal_to_it():
    assert short(2.0000004, beside=2.0) == "2.0000004"
    assert short(2.0, beside=2.0) == "2"

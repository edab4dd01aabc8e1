import math

import pytest

from export.report.markup import element, number, score


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.012345, "0.0123"), (1.0, "1.00"), (9.996, "10.0"), (123.4, "123"), (123_456, "123,000"), (0, "0"),
        (-0.5, "−0.500"), (None, "–"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value, shown):
    assert number(value) == shown


def test_what_rounds_to_no_difference_has_no_sign():
    assert (score(-0.00004, "+"), score(0.00006, "+"), score(-0.0123, "+")) == ("0.0000", "+0.0001", "−0.0123")


def test_text_is_escaped_wherever_it_enters_an_element():
    made = element("td", "<b>", element("i", "&"), title='"')
    assert made == '<td title="&quot;">&lt;b&gt;<i>&amp;</i></td>'

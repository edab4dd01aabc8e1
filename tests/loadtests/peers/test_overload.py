"""What the benchmark of overload makes of its runs."""

import msgspec
import pytest

from loadtests.peers.offered import Offered, Report, judge, picture_of

CURVE = [
    Offered(multiple, 100 * multiple, goodput, 10.0, 60.0, 0.0, 0.0, 0.0, 0.1)
    for multiple, goodput in ((0.5, 50.0), (1.0, 95.0), (2.0, 100.0), (3.0, 91.0), (5.0, 70.0))
]


def test_goodput_that_stays_and_answers_in_time_are_as_they_should_be():
    assert judge(CURVE) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"goodput": 89.0}, "goodput at 3x is 89%"), ({"p99_ms": 130.0}, "p99 of what is accepted is 130 ms at 3x")],
)
def test_goodput_that_falls_or_late_answers_are_named(changed, words):
    curve = [msgspec.structs.replace(one, **changed) if one.multiple == 3 else one for one in CURVE]
    (problem,) = judge(curve)
    assert words in problem


def test_the_curve_is_drawn():
    picture = picture_of(Report("a CPU", 2, "2026-11-21", 10, 1, 100.0, CURVE))
    assert [dot.at for dot in picture.lines[0].dots] == [50, 100, 200, 300, 500]

"""Objectives, as a user writes them."""

import pytest

from contracts.slo import parse_objective


def test_latency_objective_is_a_percentile_in_milliseconds():
    objective = parse_objective(" p(99.9) < 20.5 ")
    assert (objective.expression, objective.percent, objective.bound) == ("p(99.9) < 20.5", 99.9, 20.5)
    assert objective.is_met(20.4)
    assert not objective.is_met(20.5)


@pytest.mark.parametrize(
    ("expression", "met", "missed"),
    [
        ("success >= 0.999", 0.999, 0.998),
        ("goodput > 0.9", 0.91, 0.9),
        ("degraded < 0.01", 0.0, 0.01),
        ("degraded <= 0", 0.0, 0.001),
        ("p(50)<=5", 5.0, 5.001),
    ],
)
def test_figure_at_its_bound_is_judged_by_the_sign(expression, met, missed):
    objective = parse_objective(expression)
    assert objective.is_met(met)
    assert not objective.is_met(missed)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("", "expected `p(99) < 20`"),
        ("p(99) below 20", "expected `p(99) < 20`"),
        ("p99 < 20", "expected `p(99) < 20`"),
        ("p(99) < -1", "expected `p(99) < 20`"),
        ("p(99) < 20 and more", "expected `p(99) < 20`"),
        ("latency < 20", "success, goodput, degraded"),
        ("success >= 99.9", "success, goodput, degraded"),
        ("p(0) < 20", "between 0 and 100"),
        ("p(100) < 20", "between 0 and 100"),
        ("p(99) > 20", "gets worse"),
        ("success < 0.9", "gets worse"),
        ("degraded >= 0.01", "gets worse"),
    ],
)
def test_expression_that_cannot_be_used_is_refused_with_what_is_allowed(expression, allowed):
    with pytest.raises(ValueError) as refused:
        parse_objective(expression)
    assert repr(expression) in str(refused.value)
    assert allowed in str(refused.value)

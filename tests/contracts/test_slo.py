"""Objectives, as a user writes them."""

import pytest

from contracts.slo import objectives_of, parse_objective


def test_latency_objective_is_a_percentile_in_milliseconds():
    objective = parse_objective(" p(99.9) < 20.5 ")
    assert (objective.expression, objective.percent, objective.bound) == ("p(99.9) < 20.5", 99.9, 20.5)
    assert objective.scenario is None
    assert objective.is_met(20.4)
    assert not objective.is_met(20.5)


@pytest.mark.parametrize(
    ("expression", "figure", "scenario", "bound"),
    [
        ("p(99){spike} < 500", "p(99)", "spike", 500),
        ("goodput{cold-start} >= 0.9", "goodput", "cold-start", 0.9),
        ("degraded{single-stream}<=0", "degraded", "single-stream", 0),
    ],
)
def test_objective_may_hold_in_one_scenario_alone(expression, figure, scenario, bound):
    objective = parse_objective(expression)
    assert (objective.expression, objective.figure) == (expression, figure)
    assert (objective.scenario, objective.bound) == (scenario, bound)


@pytest.mark.parametrize(
    ("expression", "met", "missed"),
    [
        ("success >= 0.999", 0.999, 0.998),
        ("goodput > 0.9", 0.91, 0.9),
        ("degraded < 0.01", 0.0, 0.01),
        ("degraded <= 0", 0.0, 0.001),
        ("p(50)<=5", 5.0, 5.001),
        ("p(50){spike}<=5", 5.0, 5.001),
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
        ("p(99){} < 20", "for one scenario alone `p(99){spike} < 500`"),
        ("p(99){Spike 1} < 20", "for one scenario alone `p(99){spike} < 500`"),
        ("{spike} < 20", "for one scenario alone `p(99){spike} < 500`"),
        ("p(99) < 20 {spike}", "for one scenario alone `p(99){spike} < 500`"),
        ("latency{spike} < 20", "success, goodput, degraded"),
        ("success{spike} < 0.9", "gets worse"),
        ("p(100){spike} < 20", "between 0 and 100"),
    ],
)
def test_expression_that_cannot_be_used_is_refused_with_what_is_allowed(expression, allowed):
    with pytest.raises(ValueError) as refused:
        parse_objective(expression)
    assert repr(expression) in str(refused.value)
    assert allowed in str(refused.value)


def in_scenario(scenario, *expressions):
    found = objectives_of(scenario, [parse_objective(expression) for expression in expressions])
    return [objective.expression for objective in found]


def test_general_objectives_hold_in_every_scenario():
    assert in_scenario("server", "p(99) < 100", "goodput >= 0.99") == ["p(99) < 100", "goodput >= 0.99"]
    assert in_scenario("server") == []


def test_scenario_replaces_general_objectives_for_the_same_figure_only():
    slo = ("p(50) < 25", "p(99) < 100", "goodput >= 0.999", "p(99){spike} < 500", "success{soak} >= 0.9999")
    assert in_scenario("spike", *slo) == ["p(50) < 25", "goodput >= 0.999", "p(99){spike} < 500"]
    assert in_scenario("soak", *slo) == [*slo[:3], "success{soak} >= 0.9999"]
    assert in_scenario("server", *slo) == [*slo[:3]]


def test_scenario_may_have_several_objectives_for_one_figure():
    slo = ("p(99){spike} < 500", "p(99) < 100", "p(99){spike} <= 400")
    assert in_scenario("spike", *slo) == ["p(99){spike} < 500", "p(99){spike} <= 400"]


def test_same_percentile_is_the_same_figure_however_it_is_written():
    assert in_scenario("spike", "p(99) < 100", "p(99.0){spike} < 500") == ["p(99.0){spike} < 500"]

"""No rule passes for want of a figure, and every figure that a rule may name is there to be measured."""

import math

import pytest

from contracts.faults import UsageFault
from contracts.sections import Promotion
from contracts.thresholds import FIGURES, QUALITIES, THROUGHPUT
from export.measuring.candidates import measured_candidates
from export.measuring.footprint import Footprint
from export.promotion.decision import decide
from export.promotion.figures import figure_of
from export.promotion.judging import judge_all

RULE = Promotion(min_improvement=0.0, max_degradation=2.0)


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_missing_quality_is_refused_and_never_the_best(value, popularity, plant, verdict_of, requalified):
    unknown = requalified(plant("sasrec:fp32", 0.9, 0.001), "NDCG@10", value)
    decision = decide([popularity, plant("ease:fp32", 0.1, 0.1), unknown], RULE)
    assert decision.winner == "ease:fp32"
    assert verdict_of(decision, "sasrec:fp32").why == "refused: no figure for NDCG@10"


def test_without_popularitys_quality_nobody_is_above_it(popularity, plant, verdict_of, requalified):
    decision = decide([requalified(popularity, "NDCG@10", math.nan), plant("sasrec:fp32", 0.1, 1)], RULE)
    assert decision.winner is None
    assert "no figure for the gain over popularity" in verdict_of(decision, "sasrec:fp32").why
    assert "Nobody comes near: each lacks a figure" in decision.reason


def test_a_bound_of_nothing_is_not_told_as_a_missing_figure_alone(popularity):
    decision = decide([popularity], Promotion(threshold=("p99_ms <= 0",)))
    assert "misses `p99_ms <= 0`" in decision.reason
    assert "or misses a bound of 0" in decision.reason
    assert "relax [promotion]" in decision.reason


def test_without_an_interval_over_popularity_there_is_no_improvement(popularity, plant, verdict_of):
    decision = decide([popularity, plant("sasrec:fp32", 0.1, 0.001, gain=(math.nan, math.nan))], RULE)
    assert decision.winner == "popularity:fp32"
    assert verdict_of(decision, "sasrec:fp32").misses[0].over_percent is None


@pytest.mark.parametrize("figure", [name for name in FIGURES if name not in ("size_mb", "NDCG@10", "Coverage@10")])
def test_a_limit_on_what_was_not_measured_is_missed(figure, popularity, plant, verdict_of):
    sign = "<=" if figure.endswith("ms") or figure.endswith("mb") else ">="
    unmeasured = plant("sasrec:fp32", 0.1, latency=[], footprint=Footprint(math.nan, math.inf), recall=None)
    rule = Promotion(threshold=(f"{figure} {sign} {0 if sign == '>=' else 1000000}",), cost=("size",))
    decision = decide([popularity, unmeasured], rule)
    assert f"no figure for `{figure}" in verdict_of(decision, "sasrec:fp32").why


def test_without_the_figure_that_makes_it_cheap_nobody_ships_for_it(popularity, plant, verdict_of):
    unmeasured = plant("ease:fp32", 0.1, latency=[])
    decision = decide([popularity, unmeasured, plant("sasrec:fp32", 0.1, 1)], RULE)
    assert decision.winner == "sasrec:fp32"
    assert verdict_of(decision, "ease:fp32").why == "refused: no figure for latency"


def test_verdicts_carry_the_figures_that_were_used_with_none_for_a_missing_one(popularity, plant, verdict_of):
    rule = Promotion(threshold=("memory_mb <= 200", "MRR@20 >= 0.01"), cost=("latency", "throughput"))
    figures = verdict_of(decide([popularity, plant("sasrec:fp32", 0.1, 0.5)], rule), "sasrec:fp32").figures
    assert figures == {
        "NDCG@10": 0.1,
        "p50_ms": 0.5,
        THROUGHPUT: 2000,
        "memory_mb": 30,
        "MRR@20": None,
        "gain_low": pytest.approx(0.049),
        "gain_high": pytest.approx(0.051),
        "percent_below_best": None,  # nobody keeps the limits, so there is no best
    }


def test_the_baseline_must_be_among_them(plant):
    with pytest.raises(UsageFault, match="needs the baseline popularity:fp32"):
        judge_all([plant("sasrec:fp32", 0.1)], RULE)


def test_every_figure_that_a_limit_may_name_is_measured(measured):
    for candidate in measured_candidates(measured.settings.paths.artifacts, "NDCG@10"):
        assert all(figure_of(candidate, name) is not None for name in FIGURES)
        assert set(candidate.measured.quality.metrics) == set(QUALITIES)

"""The arithmetic of the verdict, on planted samples."""

from array import array

import pytest

from contracts.slo import parse_objective
from loadtests.tally import Counts, Tally
from loadtests.verdict import Setup, judge, measure, percentile_ms, samples_needed
from loadtests.wording import render

SETUP = Setup(
    url="http://127.0.0.1:3000", users=5, think_ms=10, known_percent=80, zipf_exponent=1, k=10,
    known_users=7, median_history=12,
)  # fmt: skip


def planted(healthy_ms=(), degraded_ms=(), failed=0, unanswered=0, seconds=10.0, **counts) -> Tally:
    """A finished run with these latencies; all by known users from the model unless said otherwise."""
    tally = Tally()
    valid = len(healthy_ms) + len(degraded_ms)
    tally.healthy_us = array("I", [round(ms * 1000) for ms in healthy_ms])
    tally.degraded_us = array("I", [round(ms * 1000) for ms in degraded_ms])
    reasons = {"ok": len(healthy_ms), "feature_cache_down": len(degraded_ms)}
    defaults = {"known_by_model": len(healthy_ms), "known_without_model": {}, "finished": True}
    tally.counts = Counts(
        begun=valid + failed + unanswered,
        answered=valid + failed,
        failures={"status 503": failed},
        reasons=reasons,
        seconds=seconds,
        **(defaults | counts),
    )
    return tally


def objectives(*expressions):
    return [parse_objective(expression) for expression in expressions]


@pytest.mark.parametrize(("percent", "needed"), [(50, 20), (90, 100), (99, 1000), (99.9, 10_000)])
def test_percentile_needs_ten_samples_beyond_it(percent, needed):
    assert samples_needed(percent) == needed


def test_percentile_is_the_nearest_rank_in_exact_microseconds():
    ordered = list(range(1_001, 2_001))  # 1.001 ms, 1.002 ms, ... 2.000 ms
    assert percentile_ms(ordered, 50, begun=1000) == 1.500
    assert percentile_ms(ordered, 99, begun=1000) == 1.990
    assert percentile_ms(ordered, 99.9, begun=1000) == 1.999


def test_failed_request_is_slower_than_any_bound():
    verdict = judge(planted([1.0] * 89, failed=11), objectives("p(50) < 2", "p(90) < 2"), SETUP)
    assert [one.value for one in verdict.objectives] == [1.0, None]  # rank 90 of 100 falls on a failure
    assert (verdict.outcome, verdict.exit_code) == ("missed", 1)
    assert verdict.figures.latency_ms == {"p50": 1.0, "p90": None}
    assert "p90 beyond any bound" in render(verdict)


def test_objective_at_its_bound_is_judged_by_its_sign():
    slo = objectives("p(50) < 5", "p(50) <= 5", "success >= 1")
    verdict = judge(planted([5.0] * 20), slo, SETUP)
    assert [one.met for one in verdict.objectives] == [False, True, True]


def test_shares_count_every_request_begun():
    tally = planted([1.0] * 80, degraded_ms=[1.0] * 10, failed=6, unanswered=4)
    figures = measure(tally, [])
    assert figures.success == (80 + 10) / 100
    assert figures.goodput == 80 / 100
    assert figures.degraded == 10 / (80 + 10)
    assert figures.requests_per_second == (80 + 10 + 6) / 10.0
    assert figures.goodput_per_second == 80 / 10.0


def test_goodput_leaves_out_what_is_slower_than_the_loosest_latency_bound():
    tally = planted([5.0] * 60 + [50.0] * 30 + [500.0] * 10)
    slo = objectives("p(50) < 25", "p(90) < 100", "goodput >= 0.95")
    verdict = judge(tally, slo, SETUP)
    assert verdict.objectives[2].value == (60 + 30) / 100
    assert verdict.outcome == "missed"


def test_service_that_answers_only_errors_misses_even_a_bound_on_degraded_answers():
    verdict = judge(planted(failed=100), objectives("degraded < 0.01"), SETUP)
    assert (verdict.outcome, verdict.objectives[0].value) == ("missed", None)


def test_run_without_answers_is_not_valid_and_has_no_figures():
    verdict = judge(planted(unanswered=500), objectives("p(99) < 20"), SETUP)
    assert (verdict.outcome, verdict.exit_code, verdict.figures) == ("not valid", 3, None)
    assert verdict.problems == ["no answers: 500 requests were sent. Is the service running at that URL?"]


def test_too_few_samples_for_a_percentile_make_the_run_not_valid():
    slo = objectives("p(99) < 20")
    assert judge(planted([1.0] * 1000), slo, SETUP).outcome == "met"
    verdict = judge(planted([1.0] * 999), slo, SETUP)
    assert verdict.exit_code == 3
    assert "too few samples for p99: found 999, expected at least 1000" in render(verdict)


def test_generator_that_was_the_limit_makes_the_run_not_valid():
    slo = objectives("p(50) < 20")
    assert judge(planted([1.0] * 100, cpu_share=0.9), slo, SETUP).outcome == "met"
    assert "used 91% of a core" in judge(planted([1.0] * 100, cpu_share=0.91), slo, SETUP).problems[0]
    assert judge(planted([1.0] * 100, cpu_share=0.5), slo, SETUP, saturated=True).exit_code == 3


def test_generator_process_that_vanished_makes_the_run_not_valid():
    verdict = judge(planted([1.0] * 100, finished=False), objectives("p(50) < 20"), SETUP)
    assert verdict.exit_code == 3
    assert "never reported its end" in verdict.problems[0]


def test_known_users_without_the_model_make_the_run_not_valid_above_one_in_a_thousand():
    slo = objectives("p(50) < 20", "degraded < 0.01")

    def outcome(by_model, without):
        counts = {"known_by_model": by_model, "known_without_model": without}
        return judge(planted([1.0] * 1000, **counts), slo, SETUP).outcome

    assert outcome(999, {"cold_user": 1}) == "met"
    assert outcome(998, {"cold_user": 2}) == "not valid"
    assert outcome(0, {"unknown_items": 1000}) == "not valid"


def test_reported_fault_is_judged_by_the_slo_but_an_empty_feature_cache_is_never_valid():
    slo = objectives("p(50) < 20", "degraded < 0.01")

    def judge_all_degraded_by(reason, slo):
        tally = planted(degraded_ms=[1.0] * 100, known_by_model=0, known_without_model={reason: 100})
        return judge(tally, slo, SETUP).outcome

    assert judge_all_degraded_by("feature_cache_down", slo) == "missed"
    assert judge_all_degraded_by("feature_cache_empty", slo) == "not valid"
    latency_only = objectives("p(50) < 20")
    assert judge_all_degraded_by("feature_cache_down", latency_only) == "not valid"


def test_verdict_in_words_names_every_figure_with_its_unit():
    verdict = judge(planted([4.0] * 990 + [40.0] * 10, cpu_share=0.31), objectives("p(99) < 100"), SETUP)
    words = render(verdict)
    assert "SLO met" in words
    assert "100.0 requests/s, goodput 100.0 requests/s" in words  # 1000 answers in 10 s
    assert "p50 4.0 ms, p90 4.0 ms, p99 4.0 ms" in words  # rank 990 of 1000 is the last 4.0
    assert "80 % of the requests by 7 known users (median history 12 items" in words
    assert "31% of a core" in words
    assert "closed workload" in words

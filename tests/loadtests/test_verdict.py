"""The arithmetic of the verdict, on planted samples. Below 2 ms a histogram is exact to the microsecond."""

import math
import random

import msgspec
import pytest

from contracts.slo import parse_objective
from loadtests.counts import Counts, Health
from loadtests.figures import measure
from loadtests.tally import Second, Tally
from loadtests.verdict import HookRun, Setup, Verdict, judge, percentile_ms

SETUP = Setup(
    scenario="server", url="http://127.0.0.1:3000", workload="Poisson arrivals, 10 per second", expected=None,
    seconds=10, known_share=0.8, anonymous_share=0.1, zipf_exponent=1, k=10, known_users=7, median_history=12,
)  # fmt: skip


def planted(healthy_ms=(), degraded_ms=(), failed=0, unanswered=0, good=None, **health) -> Tally:
    """A finished run of 10 s with these latencies, all by known users."""
    tally = Tally()
    for histogram, latencies in ((tally.healthy_us, healthy_ms), (tally.degraded_us, degraded_ms)):
        for ms in latencies:
            histogram.record_value(round(ms * 1000))
    valid = len(healthy_ms) + len(degraded_ms)
    tally.counts = Counts(
        begun=valid + failed + unanswered,
        answered=valid + failed,
        good=len(healthy_ms) if good is None else good,
        failures={"status 503": failed},
        reasons={"ok": len(healthy_ms), "deadline": len(degraded_ms)},
        known_by_model=len(healthy_ms),
    )
    tally.health = Health(**({"seconds": 10.0, "cpu_share": 0.3, "finished": True} | health))
    tally.lag_us.record_value(100, max(tally.counts.begun, 1))
    return tally


def judge_by(tally, *expressions, **more) -> Verdict:
    return judge(tally, [parse_objective(expression) for expression in expressions], SETUP, **more)


def nearest_rank(ordered, percent, begun):
    """As the textbook has it; failures stand behind all that was answered."""
    rank = math.ceil(round(percent * begun / 100, 6))
    return ordered[rank - 1] if rank <= len(ordered) else None


@pytest.mark.parametrize("valid", [1000, 999, 950, 997])
def test_percentile_is_the_nearest_rank_of_all_that_were_due(valid):
    ordered = [(1000 + place) / 1000 for place in range(valid)]
    histogram = planted(ordered).healthy_us
    for percent in (0.1, 1, 25, 50, 64, 64.4, 75, 90, 94.9, 95, 99, 99.5, 99.7, 99.9, 99.99):
        found = percentile_ms(histogram, percent, begun=1000)
        assert (percent, found) == (percent, nearest_rank(ordered, percent, begun=1000))


def test_percentile_of_slow_answers_is_right_within_a_thousandth():
    luck = random.Random(1)
    ordered = sorted(luck.lognormvariate(3, 1.5) for _ in range(5000))
    histogram = planted(ordered).healthy_us
    for percent in (50, 90, 99, 99.9):
        found = percentile_ms(histogram, percent, begun=5050)
        expected = nearest_rank(ordered, percent, begun=5050)
        assert found == (expected and pytest.approx(expected, rel=0.001)), percent


def test_failed_request_is_slower_than_any_bound():
    verdict = judge_by(planted([1.0] * 89, failed=6, unanswered=5), "p(50) < 2", "p(90) < 120000")
    assert [one.value for one in verdict.objectives] == [1.0, None]  # rank 90 of 100 falls on a failure
    assert (verdict.outcome, verdict.exit_code) == ("missed", 1)
    assert verdict.figures.latency_ms == {"p50": 1.0, "p75": 1.0, "p90": None}


def test_degraded_answers_count_among_the_latencies():
    tally = planted([1.0] * 50, degraded_ms=[2.0] * 50)
    assert measure(tally).latency_ms == {"p50": 1.0, "p75": 2.0, "p90": 2.0}


@pytest.mark.parametrize(
    ("begun", "names"),
    [(19, []), (20, ["p50"]), (99, ["p50", "p75"]), (1000, ["p50", "p75", "p90", "p95", "p99"])],
)
def test_percentile_with_too_few_samples_is_left_out(begun, names):
    assert list(measure(planted([1.0] * begun)).latency_ms) == names


def test_objective_at_its_bound_is_judged_by_its_sign():
    verdict = judge_by(planted([1.5] * 20), "p(50) < 1.5", "p(50) <= 1.5", "success >= 1")
    assert [one.met for one in verdict.objectives] == [False, True, True]


def test_shares_count_every_request_that_was_due():
    tally = planted([1.0] * 80, degraded_ms=[1.0] * 10, failed=6, unanswered=4, good=70, first_good_seconds=0.5)
    figures = measure(tally)
    assert figures.success == (80 + 10) / 100
    assert figures.goodput == 70 / 100
    assert figures.degraded == 10 / (80 + 10)
    assert figures.requests_per_second == (80 + 10 + 6) / 10.0
    assert figures.goodput_per_second == 70 / 10.0
    assert figures.lag_ms == {"p50": 0.1, "p99": 0.1}
    assert figures.first_good_seconds == 0.5
    judged = judge_by(tally, "success >= 0.9", "goodput >= 0.71", "degraded < 0.2").objectives
    assert [(one.value, one.met) for one in judged] == [(0.9, True), (0.7, False), (10 / 90, True)]


def test_slo_is_met_when_all_of_it_is():
    tally = planted([1.0] * 20)
    verdict = judge_by(tally, "p(50) < 2", "success >= 1")
    assert (verdict.outcome, verdict.exit_code, verdict.blame) == ("met", 0, None)
    verdict = judge_by(tally, "p(50) < 2", "p(50) < 0.5")
    assert (verdict.outcome, verdict.exit_code) == ("missed", 1)


def test_service_that_answers_only_errors_misses_even_a_bound_on_degraded_answers():
    verdict = judge_by(planted(failed=100), "degraded < 0.01", "p(50) < 20")
    assert (verdict.outcome, [one.value for one in verdict.objectives]) == ("missed", [None, None])
    assert verdict.figures.degraded is None
    assert verdict.curve == []


@pytest.mark.parametrize("tally", [planted(unanswered=500), planted([1.0] * 100, cpu_share=1.0)])
def test_run_that_is_not_valid_has_counts_but_neither_figures_nor_pictures(tally):
    verdict = judge_by(tally, "p(50) < 20", hooks=[HookRun(1.0, "true")])
    assert (verdict.outcome, verdict.exit_code, len(verdict.problems)) == ("not valid", 3, 1)
    assert (verdict.figures, verdict.objectives, verdict.seconds, verdict.curve) == (None, [], [], [])
    assert (verdict.counts, verdict.health) == (tally.counts, tally.health)
    assert verdict.hooks == [HookRun(1.0, "true")]


def test_rate_that_was_due_but_not_sent_makes_the_run_not_valid():
    setup = msgspec.structs.replace(SETUP, expected=1000)
    assert judge(planted([1.0] * 500), [parse_objective("p(50) < 2")], setup).outcome == "not valid"


def test_slo_of_which_nothing_holds_here_is_not_met_but_not_valid():
    verdict = judge_by(planted([1.0] * 20))
    assert (verdict.outcome, verdict.exit_code, verdict.blame) == ("not valid", 3, "setup")
    assert "no objective holds" in verdict.problems[0]


def test_known_users_are_counted_against_the_share_that_the_verdict_says():
    tally = planted([1.0] * 500)
    tally.counts.visits = 200  # none of them by known users, where SETUP says 80 %
    assert "known users made 0 of 200 visits" in judge_by(tally, "p(50) < 2").problems[0]


def test_rates_are_by_the_time_in_which_requests_were_due_without_the_wait_for_the_last_answers():
    figures = measure(planted([1.0] * 90, failed=10, seconds=15.0, due_seconds=10.0))
    assert (figures.requests_per_second, figures.goodput_per_second) == (10.0, 9.0)


def test_curve_goes_from_the_median_to_the_last_request_that_has_others_beyond_it():
    curve = judge_by(planted([1 + place / 1000 for place in range(1000)]), "p(50) < 2").curve
    shares, latencies = zip(*curve, strict=True)
    assert (shares[0], latencies[0]) == (0.5, 1.499)
    assert list(shares) == sorted(set(shares))
    assert list(latencies) == sorted(latencies)
    assert len(curve) == 27  # ten points for each nine; beyond the last, 1000 * 0.5 * 10 ** -2.6 = 1.26 requests
    assert curve[10] == (pytest.approx(0.95), 1.949)


def test_curve_ends_where_failures_begin():
    curve = judge_by(planted([1.0] * 930, failed=70), "p(50) < 2").curve
    assert 0.9 < max(share for share, _ in curve) <= 0.93


def test_seconds_of_a_run_tell_how_it_went():
    tally = planted([1.0] * 4, failed=1)
    tally.begin(2.2, 0.0)
    tally.record_failure("status 500", 2.2, answered=True)
    tally.seconds[0] = second = Second()
    second.begun, second.degraded = 3, 1
    for us in (100, 200, 250):
        second.latency_us.record_value(us)
    first, last = judge_by(tally, "success >= 0.1").seconds
    assert (first.second, first.begun, first.failed, first.degraded) == (0, 3, 0, 1)
    assert (first.p50_ms, first.p99_ms) == (0.2, 0.25)
    assert (last.second, last.begun, last.failed, last.p50_ms, last.p99_ms) == (2, 1, 1, None, None)


def test_verdict_comes_back_from_its_json():
    hooks = [HookRun(2.0, "redis-cli shutdown", 0), HookRun(3.0, "sleep 100")]
    more = {"hooks": hooks, "service": {"artifact": {"version": "v"}}, "generator": {"cores": 2}}
    verdict = judge_by(planted([1.0] * 50, [1.5] * 40, failed=10), "p(50) < 2", "p(90) < 2", **more)
    assert verdict.figures.latency_ms["p90"] is not None
    assert msgspec.json.decode(verdict.to_json(), type=Verdict) == verdict


def test_what_was_accepted_has_percentiles_of_its_own_where_most_was_refused():
    tally = planted([1.0] * 990 + [1.5] * 20, failed=4000)
    figures = measure(tally)
    assert figures.latency_ms["p50"] is None
    assert figures.accepted_ms["p50"] == 1.0
    assert figures.accepted_ms["p99"] == 1.5
    assert "p99.9" not in figures.accepted_ms

"""The search for the capacity, on planted services whose limit is known."""

import random
from math import ceil, log
from statistics import median

import msgspec
import pytest

from loadtests.capacity import CONFIRMATIONS, PRECISION, Ask, Capacity, Trial, knee_of, search, trial_of
from loadtests.counts import Counts, Health
from loadtests.figures import Figures
from loadtests.verdict import JudgedObjective, Setup, Verdict

START, LIMIT = 200.0, 700.0
CONFIRMING = 3 * CONFIRMATIONS


def trial(ask: Ask, met: bool, outcome="missed", p99_ms=5.0, cpu_us=None) -> Trial:
    return Trial(ask.rate, "met" if met else outcome, "", p99_ms / 2, p99_ms, 1.0, cpu_us, ask.confirms)


def sharp(ask: Ask, limit=LIMIT) -> Trial:
    """The queue of a service that can do 1.5 times its limit: p99 is 1 ms, and twice that at 0.75 of the limit."""
    free = 1 - ask.rate / (1.5 * limit)
    return trial(ask, ask.rate <= limit, p99_ms=1 / free if free > 0.01 else 100.0)


def explore(service, start=START, seed=1) -> Capacity:
    asking = search(start, random.Random(seed))
    ask = next(asking)
    while True:
        try:
            ask = asking.send(service(ask))
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("start", [1.0, 3.0, 200.0, 700.0, 701.0, 5000.0])
def test_sharp_limit_is_found_within_the_precision_from_wherever_the_search_starts(start):
    found = explore(sharp, start)
    assert LIMIT / PRECISION <= found.rate <= LIMIT
    assert not found.lower_bound
    doublings, halvings = ceil(abs(log(LIMIT / start, 2))) + 2, ceil(log(log(2) / log(PRECISION), 2))
    assert len(found.trials) <= doublings + halvings + CONFIRMING


def test_search_doubles_then_bisects_then_confirms():
    found = explore(sharp)
    rates = [round(one.rate) for one in found.trials if not one.confirms]
    assert rates == [200, 400, 800, 566, 673, 734, 703]
    assert round(found.rate) == 673
    assert len(found.trials) == len(rates) + CONFIRMING
    assert all(one.confirms for one in found.trials[len(rates) :])


def test_rate_found_and_two_lower_ones_are_tried_again_in_random_order():
    orders = [[p.rate / 673 for p in explore(sharp, seed=seed).trials if p.confirms] for seed in (1, 2)]
    for order in orders:
        assert sorted(order) == pytest.approx([0.85] * 3 + [0.92] * 3 + [1.0] * 3, rel=0.01)
        assert sorted(order) != order != sorted(order, reverse=True)
    assert orders[0] != orders[1]


def test_noise_of_three_percent_hardly_moves_the_capacity():
    def found_with(seed):
        luck = random.Random(seed)
        return explore(lambda ask: sharp(ask, LIMIT * luck.gauss(1, 0.03)), seed=seed).rate

    rates = [found_with(seed) for seed in range(100)]
    assert min(rates) >= 0.85 * LIMIT
    assert max(rates) <= 1.05 * LIMIT
    assert median(rates) == pytest.approx(LIMIT, rel=0.06)


def test_service_that_never_keeps_the_slo_has_no_capacity_and_is_not_tried_again():
    found = explore(lambda ask: trial(ask, met=False))
    assert (found.rate, found.cpu_us, found.lower_bound) == (None, None, False)
    assert [one.rate for one in found.trials] == [200, 100, 50, 25, 12.5, 6.25, 3.125, 1.5625, 1]


def test_service_that_can_do_more_than_the_generator_is_told_from_one_that_cannot():
    unlucky = iter([True])

    def service(ask):
        one_missed = ask.confirms and next(unlucky, False)
        return trial(ask, False) if one_missed else trial(ask, ask.rate <= 3000, "not valid")

    found = explore(service)
    assert 3000 / PRECISION <= found.rate <= 3000
    assert found.lower_bound


def test_service_that_misses_before_the_generator_does_is_the_limit_itself():
    def service(ask):
        return trial(ask, met=False, outcome="not valid") if ask.rate > 750 else sharp(ask)

    found = explore(service)
    assert LIMIT / PRECISION <= found.rate <= LIMIT
    assert not found.lower_bound


def test_service_without_a_limit_does_not_keep_the_search_for_ever():
    found = explore(lambda ask: trial(ask, met=True))
    assert (found.rate, len(found.trials)) == (200 * 2**11, 12 + CONFIRMING)
    assert found.lower_bound


def test_at_least_is_not_said_where_the_rates_above_were_missed_when_they_were_tried_again():
    """The generator was the limit of the search, but the service is that of the confirmation."""

    def service(ask):
        if ask.rate > LIMIT:
            return trial(ask, met=False, outcome="not valid")
        return trial(ask, ask.rate <= 0.8 * LIMIT if ask.confirms else True)

    found = explore(service)
    assert found.rate == pytest.approx(672.7 * 0.85 * 0.92, rel=0.001)
    assert not found.lower_bound


def test_at_least_is_not_said_where_only_the_rate_that_was_found_was_missed_again():
    def service(ask):
        if ask.rate > LIMIT:
            return trial(ask, met=False, outcome="not valid")
        return trial(ask, not ask.confirms or ask.rate < 650)

    found = explore(service)
    assert found.rate == pytest.approx(672.7 * 0.92, rel=0.001)
    assert not found.lower_bound


@pytest.mark.parametrize(("slower", "part"), [(0.98, 1.0), (0.94, 0.92), (0.88, 0.85)])
def test_machine_that_slowed_down_since_the_search_gets_the_lower_rate_it_still_keeps(slower, part):
    found = explore(lambda ask: sharp(ask, LIMIT * slower if ask.confirms else LIMIT))
    assert found.rate == pytest.approx(673 * part, rel=0.001)


def test_where_nothing_is_confirmed_lower_rates_are_tried():
    found = explore(lambda ask: sharp(ask, LIMIT * 0.7 if ask.confirms else LIMIT))
    assert 0.9 * 0.7 * LIMIT <= found.rate <= 0.7 * LIMIT


def test_a_service_that_keeps_no_rate_when_it_is_asked_again_has_no_capacity():
    found = explore(lambda ask: sharp(ask, 1.0 if ask.confirms else LIMIT))
    assert found.rate is None


def test_machine_that_slows_down_all_the_time_is_not_taken_for_what_it_was_at_first():
    limits = [LIMIT * 0.99**run for run in range(100)]
    coming = iter(limits)
    found = explore(lambda ask: sharp(ask, next(coming)))
    runs = len(found.trials)
    assert 0.85 * limits[runs - 1] <= found.rate <= limits[runs - CONFIRMING]


def test_run_that_no_other_rate_would_mend_ends_the_search_at_once():
    found = explore(lambda ask: msgspec.structs.replace(trial(ask, False, "not valid"), hopeless=True))
    assert (found.rate, found.outcome, found.lower_bound, len(found.trials)) == (None, "not valid", False, 1)


def test_search_that_turns_hopeless_in_the_middle_is_not_valid_and_keeps_its_runs():
    def service(ask):
        return msgspec.structs.replace(sharp(ask), hopeless=ask.confirms)

    found = explore(service)
    assert (found.rate, found.outcome) == (None, "not valid")
    assert [one.met for one in found.trials[:2]] == [True, True]


def test_generator_that_is_the_limit_at_every_rate_gives_no_valid_search():
    found = explore(lambda ask: trial(ask, False, "not valid"))
    assert (found.outcome, found.lower_bound) == ("not valid", False)


def answers_when_tried_again(times_met: dict[float, int]):
    """A service whose limit is 700, and that keeps the SLO so often where a part of the rate is tried again."""
    left = dict(times_met)

    def service(ask):
        if not ask.confirms:
            return sharp(ask)
        part = min(left, key=lambda part: abs(part - ask.rate / 672.7))
        left[part] -= 1
        return trial(ask, left[part] >= 0)

    return service


@pytest.mark.parametrize(
    ("times_met", "part"),
    [
        ({1.0: 3, 0.92: 3, 0.85: 3}, 1.0),
        ({1.0: 2, 0.92: 2, 0.85: 2}, 1.0),
        ({1.0: 1, 0.92: 2, 0.85: 3}, 0.92),
        ({1.0: 0, 0.92: 1, 0.85: 2}, 0.85),
        ({1.0: 3, 0.92: 1, 0.85: 3}, 0.85),
        ({1.0: 3, 0.92: 3, 0.85: 1}, None),
    ],
)
def test_capacity_is_the_highest_rate_met_in_most_runs_with_all_below_it(times_met, part):
    rate = explore(answers_when_tried_again(times_met)).rate
    assert rate == (part and pytest.approx(672.7 * part, rel=0.001))


def test_cpu_time_is_the_median_of_the_runs_at_the_capacity():
    costs = iter([1000.0, 60.0, 50.0, 60.0])

    def service(ask):
        return trial(ask, ask.rate <= LIMIT, cpu_us=next(costs) if round(ask.rate) == 673 else 7.0)

    assert explore(service).cpu_us == 60.0
    assert explore(sharp).cpu_us is None


def test_knee_is_the_highest_rate_before_the_queue_shows():
    found = explore(sharp)
    lowest = 1 / (1 - START / 1050)
    assert found.knee == max(one.rate for one in found.trials if one.p99_ms <= 2 * lowest)
    assert 0.85 * 625 < found.knee <= 625  # 1 / (1 - 625 / 1050) is twice what it is at 200


def test_knee_ends_at_the_first_rate_above_it_and_ignores_runs_without_a_percentile():
    asks = [(300, 2.1), (100, 1.0), (200, 2.0), (400, 1.9)]
    trials = [trial(Ask(rate), True, p99_ms=p99_ms) for rate, p99_ms in asks]
    silent = msgspec.structs.replace(trials[0], rate=50.0, p99_ms=None)
    assert knee_of([silent, *trials]) == 200
    assert knee_of([silent]) is None


SETUP = Setup("server", "http://x", "Poisson", 100, 10, 0.7, 0.1, 1.0, 10, 7, 12)
FIGURES = Figures(10, 10, 1, 0.9, 0, {"p50": 2.0, "p99": 8.0}, {"p50": 0.1, "p99": 0.2})


def verdict(outcome, problems=(), objectives=(), figures=FIGURES, answered=100) -> Verdict:
    counts = Counts(begun=100, answered=answered)
    return Verdict(outcome, list(problems), list(objectives), figures, counts, Health(), SETUP)


def test_trial_brings_what_the_search_and_the_report_need():
    objectives = [JudgedObjective("p(99) < 5", 8.0, False), JudgedObjective("p(50) < 5", 2.0, True)]
    found = trial_of(verdict("missed", objectives=objectives), 123.0, cpu_seconds=0.5, confirms=True)
    assert found == Trial(123.0, "missed", "p(99) < 5 (found 8)", 2.0, 8.0, 0.9, 5000.0, True)


def test_trial_of_a_run_that_was_not_valid_says_why_and_has_no_figures():
    found = trial_of(verdict("not valid", ["late.", "few."], figures=None, answered=0), 1.0, 0.5, confirms=False)
    assert (found.why, found.p50_ms, found.p99_ms, found.goodput) == ("late.; few.", None, None, None)
    assert trial_of(verdict("met"), 1.0, None, confirms=False).cpu_us is None
    assert trial_of(verdict("met"), 1.0, 0.0, confirms=False).cpu_us is None


@pytest.mark.parametrize(
    ("blame", "outcome", "hopeless"),
    [("service", "missed", False), ("load", "not valid", False), ("setup", "not valid", True)],
)
def test_trial_of_a_run_that_was_not_valid_says_whose_fault_it_was(blame, outcome, hopeless):
    unsound = msgspec.structs.replace(verdict("not valid", ["why."], figures=None), blame=blame)
    found = trial_of(unsound, 1.0, None, confirms=False)
    assert (found.outcome, found.hopeless, found.why) == (outcome, hopeless, "why.")


def test_trial_that_missed_because_too_many_failed_says_so():
    objectives = [JudgedObjective("p(99) < 5", None, False)]
    assert "p(99) < 5" in trial_of(verdict("missed", objectives=objectives), 1.0, None, confirms=False).why

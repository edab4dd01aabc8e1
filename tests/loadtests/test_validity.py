"""What makes a run lie, one cause at a time: each is found, and nothing else is complained about."""

import pytest

from contracts.slo import parse_objective
from loadtests.counts import Counts, Health
from loadtests.tally import Tally
from loadtests.validity import NO_OBJECTIVE, Problem, find_problems, samples_needed, whose

LATENCY, BOTH = ["p(50) < 20"], ["p(50) < 20", "degraded < 0.01"]


def planted(begun=1000, answered=None, late=0, without=None, by_model=None, **health) -> Tally:
    """A finished run without a fault. `late`: requests that left 20 ms late. `without`: the model, by reason."""
    tally = Tally()
    answered = begun if answered is None else answered
    others = sum((without or {}).values())
    by_model = answered - others if by_model is None else by_model
    tally.counts = Counts(begun, answered, good=by_model, reasons={"ok": answered}, known_by_model=by_model)
    tally.counts.known_without_model = without or {}
    tally.health = Health(**({"seconds": 10.0, "cpu_share": 0.3, "finished": True} | health))
    tally.lag_us.record_value(100, begun - late)
    tally.lag_us.record_value(20_000, late)
    return tally


def found_in(tally, expressions=LATENCY, expected=None, known_share=None) -> list[Problem]:
    objectives = [parse_objective(expression) for expression in expressions]
    return find_problems(tally, objectives, expected=expected, max_lag_ms=10.0, known_share=known_share)


def problems_of(*arguments, **more) -> list[str]:
    return [problem.words for problem in found_in(*arguments, **more)]


def the_problem(*arguments, **more) -> str:
    (problem,) = problems_of(*arguments, **more)
    return problem


def test_run_without_a_fault_may_give_figures():
    assert problems_of(planted(), expected=1000) == []


def test_run_without_answers_has_this_one_problem():
    silent = planted(begun=500, answered=0, finished=False, cpu_share=1.0)
    found = the_problem(silent, ["p(99) < 20"], expected=1000)
    assert found == "no answers: 500 requests were sent. Is the service running at that URL?"


def test_service_that_answers_only_errors_is_judged_not_excused():
    errors = planted(by_model=0)
    errors.counts.reasons, errors.counts.failures = {}, {"status 500": 1000}
    assert problems_of(errors) == []


def test_process_that_never_reported_its_end_is_missed():
    assert "never reported its end" in the_problem(planted(finished=False))


def test_generator_without_cpu_to_spare_measures_its_own_queue():
    assert problems_of(planted(cpu_share=0.9)) == []
    found = the_problem(planted(cpu_share=0.96))
    assert "it used 96% of a core, expected at most 90%" in found
    assert "--processes" in found


def test_one_request_in_a_hundred_may_leave_late_but_no_more():
    assert problems_of(planted(late=10)) == []
    assert "1 % of the requests left it 20.0 ms or more after they were due" in the_problem(planted(late=11))


@pytest.mark.parametrize("begun", [1000 - 158, 1000, 1000 + 158])
def test_rate_within_five_standard_deviations_is_luck(begun):
    assert problems_of(planted(begun), expected=1000) == []  # one of them is the root of 1000: 31.6


@pytest.mark.parametrize("begun", [1000 - 159, 1000 + 159])
def test_rate_further_away_was_not_reached(begun):
    found = the_problem(planted(begun), expected=1000)
    assert f"the rate was not reached: {begun:,} requests were sent, expected about 1,000" in found


def test_closed_workload_has_no_rate_to_reach():
    assert problems_of(planted(begun=20), expected=None) == []


def test_clock_that_jumps_makes_times_worthless():
    assert problems_of(planted(clock_jump_seconds=0.5)) == []
    assert "the clock of the machine jumped by 3.2 s" in the_problem(planted(clock_jump_seconds=3.21))


@pytest.mark.parametrize(
    ("percent", "needed"), [(50, 20), (75, 40), (90, 100), (99, 1000), (99.9, 10_000), (99.99, 100_000)]
)
def test_percentile_needs_ten_samples_beyond_it(percent, needed):
    assert samples_needed(percent) == needed


def test_too_few_samples_for_the_highest_percentile_of_the_slo():
    slo = ["p(50) < 20", "p(99) < 20", "p(90) < 20"]
    assert problems_of(planted(1000), slo) == []
    found = the_problem(planted(999), slo)
    assert "too few samples for p99: found 999, expected at least 1000" in found


def test_shares_need_no_number_of_samples():
    assert problems_of(planted(3), ["success >= 0.99", "goodput >= 0.9"]) == []


def test_nothing_to_keep_is_kept_by_every_service_and_so_says_nothing():
    assert the_problem(planted(), []) == NO_OBJECTIVE


@pytest.mark.parametrize("slo", [LATENCY, BOTH])
def test_known_users_may_be_without_the_model_once_in_a_thousand(slo):
    assert problems_of(planted(without={"cold_user": 1}), slo) == []
    found = the_problem(planted(without={"cold_user": 2, "unknown_items": 3}), slo)
    assert "only 99.50% of the answers to known users came from the model, expected at least 99.9%" in found
    assert "(the others: cold_user 2, unknown_items 3)" in found
    assert "flyweight materialize" in found


def test_known_users_who_never_get_the_model_say_nothing_about_it():
    assert "only 0.00%" in the_problem(planted(without={"unknown_items": 1000}))


def test_without_known_users_nobody_misses_the_model():
    assert problems_of(planted(by_model=0)) == []


@pytest.mark.parametrize("fault", ["feature_cache_down", "feature_cache_timeout", "deadline", "model_unavailable"])
@pytest.mark.parametrize("share", ["degraded < 0.01", "goodput >= 0.99"])
def test_fault_that_the_service_reports_is_excused_where_the_slo_judges_it(fault, share):
    tally = planted(without={fault: 500})
    assert problems_of(tally, [*LATENCY, share]) == []
    assert f"{fault} 500" in the_problem(tally, [*LATENCY, "success >= 0.9"])


def test_excused_faults_neither_hide_nor_make_up_for_what_is_not_excused():
    assert problems_of(planted(without={"deadline": 500}, by_model=500), BOTH) == []
    found = the_problem(planted(without={"deadline": 500, "cold_user": 1}, by_model=499), BOTH)
    assert "only 99.80%" in found
    assert "(the others: cold_user 1)" in found


def test_empty_feature_cache_is_never_excused_because_nobody_filled_it():
    assert "feature_cache_empty 1000" in the_problem(planted(without={"feature_cache_empty": 1000}), BOTH)


def test_every_problem_is_said_not_just_the_first():
    bad = planted(
        begun=500, late=500, without={"cold_user": 400}, finished=False, cpu_share=1.0, clock_jump_seconds=9.0
    )
    assert len(problems_of(bad, ["p(99) < 20"], expected=1000)) == 7


def visited(visits: int, known: int) -> Tally:
    tally = planted()
    tally.counts.visits, tally.counts.known_visits = visits, known
    return tally


@pytest.mark.parametrize("known", [700 - 72, 700, 700 + 72])
def test_known_users_within_five_standard_deviations_of_their_share_are_luck(known):
    assert problems_of(visited(1000, known), known_share=0.7) == []  # one is the root of 1000 * 0.7 * 0.3: 14.5


@pytest.mark.parametrize(("known", "share"), [(700 - 73, 0.7), (700 + 73, 0.7), (0, 0.7), (1, 0.0), (999, 1.0)])
def test_a_generator_that_asked_for_others_than_the_verdict_says_is_found(known, share):
    found = the_problem(visited(1000, known), known_share=share)
    assert f"known users made {known} of 1,000 visits, expected {share:.0%}" in found
    assert "--traffic" in found


def test_where_no_visit_was_counted_nobody_is_missed():
    assert problems_of(planted(), known_share=0.7) == []


def anonymous(**without: int) -> Tally:
    """Known users all got the model; anonymous ones with a history 1000 times, and these times not."""
    tally = planted()
    tally.counts.anonymous_by_model, tally.counts.anonymous_without_model = 1000, without
    return tally


def test_anonymous_users_with_a_history_are_held_to_the_model_as_known_users_are():
    assert problems_of(anonymous(unknown_items=1)) == []
    found = the_problem(anonymous(unknown_items=3), BOTH)
    assert "only 99.70% of the answers to anonymous users with a history came from the model" in found
    assert "(the others: unknown_items 3)" in found
    assert "--traffic" in found
    assert problems_of(anonymous(deadline=500), BOTH) == []
    assert "deadline 500" in the_problem(anonymous(deadline=500))


@pytest.mark.parametrize(
    ("tally", "blame"),
    [
        (planted(answered=0), "setup"),
        (visited(1000, 0), "setup"),
        (planted(without={"cold_user": 100}), "setup"),
        (planted(without={"feature_cache_empty": 100}), "setup"),
        (planted(without={"deadline": 100}), "service"),
        (planted(without={"deadline": 400, "cold_user": 1}, by_model=999), "service"),
        (planted(without={"deadline": 400, "cold_user": 5}, by_model=995), "setup"),
        (planted(without={"deadline": 100}, late=500), "load"),
        (planted(without={"cold_user": 100}, late=500), "setup"),
        (planted(cpu_share=1.0), "load"),
        (planted(finished=False), "load"),
        (planted(), None),
    ],
)
def test_the_gravest_problem_says_whether_another_rate_could_mend_it(tally, blame):
    assert whose(found_in(tally, known_share=0.7)) == blame

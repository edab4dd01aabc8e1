"""Counting over several processes: nothing is lost in silence, nothing is averaged."""

import random
from itertools import cycle

import msgpack
import msgspec
import pytest

from contracts.reasons import Reason, Source
from loadtests.answers import Answer, Model
from loadtests.counting import HIGHEST_US
from loadtests.counts import Health
from loadtests.tally import Tally, add_up
from loadtests.visits import Question

KNOWN = Question("u", known=True, k=10, fewest=10)
COLD = Question("c", known=False, k=10, fewest=10)
ANONYMOUS = Question(None, known=False, k=10, fewest=10, history=["i1"])
HISTOGRAMS = ("healthy_us", "degraded_us", "lag_us")


def answer(source=Source.MODEL, reason=Reason.OK) -> Answer:
    return Answer("r", [], Model("popularity", "fp32", "v"), source, reason, reason.degraded)


ANSWERS = [answer(), answer(Source.POPULAR, Reason.COLD_USER), answer(Source.POPULAR, Reason.DEADLINE)]
DEGRADED = ANSWERS[2]


def send(report: dict) -> dict:
    """As locust's master and workers exchange it."""
    return msgpack.loads(msgpack.dumps(report), raw=False, strict_map_key=False)


def ask(tally: Tally, due=0.0, latency=0.001, lag=0.0, answered=None, question=KNOWN) -> None:
    tally.begin(due, lag)
    tally.record_answer(question, answered or answer(), due, latency)


def values(histogram) -> dict[int, int]:
    return {one.value_iterated_to: one.count_at_value_iterated_to for one in histogram.get_recorded_iterator()}


def content(tally: Tally) -> dict:
    seconds = {n: (s.begun, s.failed, s.degraded, values(s.latency_us)) for n, s in sorted(tally.seconds.items())}
    return {"counts": tally.counts, "seconds": seconds} | {n: values(getattr(tally, n)) for n in HISTOGRAMS}


def play_at_random(tallies, requests: int, seed: int) -> None:
    """The same requests for every seed, given to the tallies in turn."""
    luck = random.Random(seed)
    for tally, _ in zip(cycle(tallies), range(requests), strict=False):
        due, latency = luck.uniform(0, 5), luck.lognormvariate(-4, 2)
        tally.begin(due, luck.expovariate(1000))
        if luck.random() < 0.1:
            tally.record_failure(luck.choice(["status 500", "timeout"]), due, answered=luck.random() < 0.5)
        else:
            tally.record_answer(luck.choice([KNOWN, COLD, ANONYMOUS]), luck.choice(ANSWERS), due, latency)


def test_request_begun_without_an_answer_stays_unanswered():
    tally = Tally()
    for _ in range(4):
        tally.begin(0.0, 0.0)
    tally.record_answer(KNOWN, answer(), 0.0, 0.001)
    tally.record_failure("status 500", 0.0, answered=True)
    tally.record_failure("TimeoutError", 0.0, answered=False)
    counts = tally.counts
    assert (counts.begun, counts.answered, counts.unanswered, counts.valid) == (4, 2, 2, 1)
    assert counts.failures == {"status 500": 1, "TimeoutError": 1}


def test_latencies_of_healthy_and_degraded_answers_are_kept_apart():
    tally = Tally()
    ask(tally, latency=0.0012344)
    ask(tally, latency=0.0020006, answered=DEGRADED)
    assert (values(tally.healthy_us), values(tally.degraded_us)) == ({1234: 1}, {2001: 1})


@pytest.mark.parametrize("seconds", [0.000001, 0.0005, 0.0123456, 0.999999, 4.56789, 59.9, 119.0])
def test_latency_is_kept_within_a_thousandth(seconds):
    tally = Tally()
    ask(tally, latency=seconds, lag=seconds)
    for histogram in (tally.healthy_us, tally.lag_us):
        assert histogram.get_value_at_percentile(50) == pytest.approx(seconds * 1e6, rel=0.001)


def test_latency_beyond_what_can_be_kept_counts_as_the_slowest_and_none_as_the_fastest():
    tally = Tally()
    ask(tally, latency=1e6, lag=-0.001)
    assert tally.healthy_us.get_value_at_percentile(50) == pytest.approx(HIGHEST_US, rel=0.001)
    assert values(tally.lag_us) == {1: 1}


def test_answer_without_the_model_counts_against_it_only_for_a_known_user():
    tally = Tally()
    ask(tally, question=COLD, answered=answer(Source.POPULAR, Reason.COLD_USER))
    ask(tally, question=KNOWN, answered=answer(Source.POPULAR, Reason.FEATURE_CACHE_EMPTY))
    ask(tally, question=KNOWN)
    assert tally.counts.known_by_model == 1
    assert tally.counts.known_without_model == {"feature_cache_empty": 1}
    assert tally.counts.sources == {"popular": 2, "model": 1}
    assert tally.counts.reasons == {"cold_user": 1, "feature_cache_empty": 1, "ok": 1}
    assert tally.counts.versions == {"popularity:fp32 v": 3}


def test_anonymous_user_with_a_history_is_to_get_the_model_too():
    tally = Tally()
    ask(tally, question=ANONYMOUS)
    ask(tally, question=ANONYMOUS, answered=answer(Source.POPULAR, Reason.UNKNOWN_ITEMS))
    assert tally.counts.anonymous_by_model == 1
    assert tally.counts.anonymous_without_model == {"unknown_items": 1}
    assert (tally.counts.known_by_model, tally.counts.known_without_model) == (0, {})


def test_visits_are_counted_once_by_who_made_them():
    first, other = Tally(), Tally()
    opens = [msgspec.structs.replace(question, opens_visit=True) for question in (KNOWN, KNOWN, COLD)]
    for tally in (first, other):
        for question in (*opens, KNOWN, COLD):
            tally.begin(0.0, 0.0, question)
    total = add_up([first, other]).counts
    assert (total.visits, total.known_visits, total.begun) == (6, 4, 10)


def test_answer_is_good_when_it_is_healthy_and_within_the_bound():
    tally = Tally(bound_us=100_000)
    ask(tally, latency=0.100)
    ask(tally, latency=0.101)
    ask(tally, latency=0.001, answered=DEGRADED)
    assert (tally.counts.good, tally.counts.valid) == (1, 3)


def test_first_good_answer_is_the_first_that_came_whatever_came_before():
    tally = Tally(bound_us=100_000)
    tally.begin(0.0, 0.0)
    tally.record_failure("ConnectionRefusedError", 0.0, answered=False)
    ask(tally, due=1.0, latency=0.5)  # too slow
    ask(tally, due=2.0, latency=0.01, answered=answer(Source.POPULAR, Reason.MODEL_UNAVAILABLE))
    assert tally.health.first_good_seconds is None
    ask(tally, due=3.0, latency=0.05)
    ask(tally, due=4.0, latency=0.01)
    assert tally.health.first_good_seconds == pytest.approx(3.05)


def test_most_in_flight_is_the_peak_not_what_is_left():
    tally = Tally()
    for _ in range(3):
        tally.begin(0.0, 0.0)
    tally.record_answer(KNOWN, answer(), 0.0, 0.001)
    tally.record_failure("status 500", 0.0, answered=True)
    ask(tally, due=1.0)
    assert tally.counts.most_in_flight == 3


def test_answer_belongs_to_the_second_in_which_it_was_due():
    tally = Tally()
    ask(tally, due=1.9, latency=5.0, answered=DEGRADED)
    tally.begin(2.0, 0.0)
    tally.record_failure("status 500", 2.0, answered=True)
    found = {n: (s.begun, s.failed, s.degraded, s.latency_us.get_total_count()) for n, s in tally.seconds.items()}
    assert found == {1: (1, 0, 1, 1), 2: (1, 1, 0, 0)}


def test_two_processes_add_up_to_exactly_what_one_would_have_counted():
    one, workers, received = Tally(50_000), (Tally(50_000), Tally(50_000)), (Tally(), Tally())
    for seed in range(4):  # a report after every part of the run
        play_at_random([one], 300, seed)
        play_at_random(workers, 300, seed)
        for worker, copy in zip(workers, received, strict=True):
            copy.absorb(send(worker.report()))
    assert content(add_up(received)) == content(one)


def test_report_taken_in_twice_counts_once():
    worker, received = Tally(), Tally()
    play_at_random([worker], 50, seed=1)
    report = send(worker.report())
    received.absorb(report)
    received.absorb(report)
    assert content(received) == content(worker)


def test_report_carries_only_the_seconds_that_changed():
    worker = Tally()
    ask(worker, due=1.0)
    ask(worker, due=2.0)
    assert set(worker.report()["seconds"]) == {1, 2}
    ask(worker, due=2.5)
    ask(worker, due=3.0)
    assert {2, 3} <= set(worker.report()["seconds"])
    worker.report()
    assert set(worker.report()["seconds"]) == set()


def test_lost_report_is_made_good_by_the_next():
    worker, received = Tally(), Tally()
    ask(worker, due=0.5, latency=0.001)
    worker.report()  # lost on the way
    ask(worker, due=1.5, latency=0.002)
    received.absorb(send(worker.report()))
    assert content(received) == content(worker)


def test_report_of_the_wrong_type_is_refused():
    report = Tally().report()
    report["counts"]["begun"] = "many"
    with pytest.raises(msgspec.ValidationError):
        Tally().absorb(report)


def test_of_the_health_of_processes_the_worst_counts_and_the_first_good_answer_of_any():
    def process(*health):
        tally = Tally()
        tally.health = Health(*health)
        return tally

    processes = [process(9.0, None, 0.2, 0.3, True), process(10.0, 2.5, 0.1, 0.0, True), process(8.0, 1.5)]
    processes[0].health.due_seconds = 8.5
    assert add_up(processes[:2]).health == Health(10.0, 2.5, 0.2, 0.3, True, 8.5)
    assert add_up(processes).health == Health(10.0, 1.5, 0.2, 0.3, False, 8.5)

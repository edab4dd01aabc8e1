"""Counting over several processes: nothing is lost in silence, nothing is averaged."""

import msgpack
import msgspec
import pytest

from contracts.reasons import Reason, Source
from loadtests.answers import Answer, Model
from loadtests.tally import Tally, add_up
from loadtests.traffic import Question

KNOWN = Question("u", known=True, k=10, fewest=10)
COLD = Question("c", known=False, k=10, fewest=10)


def answer(source=Source.MODEL, reason=Reason.OK) -> Answer:
    return Answer("r", [], Model("popularity", "fp32", "v"), source, reason, reason.degraded)


def send(report: dict) -> dict:
    """As locust's master and workers exchange it."""
    return msgpack.loads(msgpack.dumps(report))


def test_request_begun_without_an_answer_stays_unanswered():
    tally = Tally()
    for _ in range(3):
        tally.begin()
    tally.record_answer(KNOWN, answer(), 1.5)
    tally.record_failure("status 500", answered=True)
    assert (tally.counts.begun, tally.counts.answered, tally.counts.unanswered) == (3, 2, 1)
    assert tally.counts.failures == {"status 500": 1}


def test_latency_is_kept_in_whole_microseconds():
    tally = Tally()
    tally.record_answer(KNOWN, answer(), 1.2344)
    tally.record_answer(KNOWN, answer(Source.POPULAR, Reason.DEADLINE), 2.0006)
    assert (list(tally.healthy_us), list(tally.degraded_us)) == ([1234], [2001])


def test_popular_answer_counts_against_the_model_only_for_a_known_user():
    tally = Tally()
    tally.record_answer(COLD, answer(Source.POPULAR, Reason.COLD_USER), 1.0)
    tally.record_answer(KNOWN, answer(Source.POPULAR, Reason.FEATURE_CACHE_EMPTY), 1.0)
    tally.record_answer(KNOWN, answer(), 1.0)
    assert tally.counts.known_by_model == 1
    assert tally.counts.known_without_model == {"feature_cache_empty": 1}
    assert tally.counts.sources == {"popular": 2, "model": 1}


def test_reports_of_two_workers_add_up_to_what_both_saw():
    workers, received = (Tally(), Tally()), (Tally(), Tally())
    for milliseconds in (1.0, 2.0, 3.0):
        for worker, copy in zip(workers, received, strict=True):
            worker.begin()
            worker.record_answer(KNOWN, answer(), milliseconds)
            copy.absorb(send(worker.report()))  # a report after every request: each carries only what is new
    for worker, copy in zip(workers, received, strict=True):
        worker.finish()
        copy.absorb(send(worker.report()))
    total = add_up(received)
    assert sorted(total.healthy_us) == [1000, 1000, 2000, 2000, 3000, 3000]
    assert (total.counts.begun, total.counts.valid, total.counts.known_by_model) == (6, 6, 6)
    assert total.counts.finished
    assert total.counts.seconds == max(worker.counts.seconds for worker in workers)


def test_worker_that_never_reports_its_end_leaves_the_sum_unfinished():
    finished, vanished = Tally(), Tally()
    finished.finish()
    assert not add_up([finished, vanished]).counts.finished


def test_lost_report_shows_as_latencies_that_are_missing():
    worker, received = Tally(), Tally()
    worker.begin()
    worker.record_answer(KNOWN, answer(), 1.0)
    worker.report()  # lost on the way
    worker.begin()
    worker.record_answer(KNOWN, answer(), 2.0)
    received.absorb(send(worker.report()))
    assert (received.counts.begun, list(received.healthy_us)) == (2, [2000])


def test_report_of_the_wrong_type_is_refused():
    worker = Tally()
    report = worker.report()
    report["counts"]["begun"] = "many"
    with pytest.raises(msgspec.ValidationError):
        Tally().absorb(report)

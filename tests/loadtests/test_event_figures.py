"""Events counted, added up, judged and put into words."""

import random

import msgspec
import pytest

from contracts.load_sections import Slo
from contracts.slo import parse_objective
from loadtests.answer_log import AnswerLog, read_began, read_requests
from loadtests.answers import Answer, Model
from loadtests.clicks import Clicks, divide
from loadtests.counts import Counts, Health
from loadtests.event_judging import include_events
from loadtests.event_tally import EventCounts, EventTally
from loadtests.event_verdict import EventsVerdict, judge_events
from loadtests.event_words import describe_events
from loadtests.report import page
from loadtests.retrying import Retrying
from loadtests.tally import Tally, add_up
from loadtests.traffic import KnownUser, Traffic
from loadtests.verdict import Setup, Verdict

SUCCESS, P50 = parse_objective("success >= 1"), parse_objective("p(50) < 10")
SETUP = Setup("events", "http://x", "words", 10, 10, 0.7, 0.1, 1.0, 10, 100, 5)


def counted(calls=3, latency=0.004, refused=0) -> EventTally:
    tally = EventTally()
    for _ in range(calls):
        tally.begin_call(2)
        tally.record_accepted(1, 1, 0, latency)
        tally.counts.clicked += 1
        tally.record_reflected(latency, at_once=True)
    for _ in range(refused):
        tally.begin_call(2)
        tally.record_refused("status 503")
    return tally


def test_processes_add_up_to_what_one_would_have_counted():
    total = add_up([_told(counted(3, refused=1)), _told(counted(5, 0.020))]).events
    assert total.counts.calls == 9
    assert (total.counts.accepted, total.counts.duplicates) == (8, 8)
    assert total.counts.refused == {"status 503": 1}
    assert total.latency_us.get_total_count() == total.freshness_us.get_total_count() == 8


def _told(events: EventTally) -> Tally:
    """As it arrives from a process."""
    tally, received = Tally(), Tally()
    tally.events = events
    received.absorb(msgspec.msgpack.decode(msgspec.msgpack.encode(tally.report())))
    return received


def test_refused_call_is_slower_than_any_bound():
    tally = counted(20, refused=25)
    judged = judge_events(tally, [P50], [P50])
    assert [one.met for one in judged.objectives] == [False]
    assert [one.met for one in judged.freshness_objectives] == [True]
    assert not judged.met


def test_answer_that_was_not_fresh_at_once_counts_against_success_and_as_stale():
    tally = counted(19)
    tally.counts.clicked += 1
    tally.record_reflected(0.2, at_once=False)
    judged = judge_events(tally, [SUCCESS], [SUCCESS])
    assert (judged.freshness_objectives[0].value, tally.counts.stale) == (0.95, 1)
    assert judged.objectives[0].met


def test_too_few_events_for_a_percentile_give_no_figures():
    judged = judge_events(counted(19), [P50], [parse_objective("p(99) < 10")])
    remedy = "Run longer, or with more of them (--events-rate, --freshness-percent)."
    assert judged.problems == [
        f"too few calls of /events: found 19, expected at least 20. {remedy}",
        f"too few measurements of freshness: found 19, expected at least 1,000. {remedy}",
    ]
    verdict = include_events(_verdict(), judged)
    assert (verdict.outcome, verdict.figures, verdict.exit_code) == ("not valid", None, 3)
    assert verdict.problems == judged.problems


@pytest.mark.parametrize(
    ("answers", "events", "together"),
    [
        ("met", True, "met"),
        ("met", False, "missed"),
        ("missed", True, "missed"),
        ("not valid", False, "not valid"),
    ],
)
def test_the_worse_of_answers_and_events_is_the_verdict(answers, events, together):
    judged = judge_events(counted(1, refused=not events), [SUCCESS], [SUCCESS])
    assert include_events(_verdict(outcome=answers), judged).outcome == together


def _verdict(**changes) -> Verdict:
    fields = {"outcome": "met", "problems": [], "objectives": [], "figures": None, "counts": Counts()}
    return Verdict(**(fields | {"health": Health(), "setup": SETUP} | changes))


def test_everything_about_events_is_said_in_words_and_on_the_page():
    tally = counted(20, refused=2)
    tally.record_unmeasured("click refused")
    judged = judge_events(tally, [P50, SUCCESS], [P50])
    words = "\n".join(describe_events(judged))
    assert "44 sent in 22 calls: 20 accepted, 20 duplicates, 0 rejected" in words
    assert "2 calls refused (status 503 2)" in words
    assert "MISSED      events success >= 1" in words
    assert "20 of 20 very next answers reflect the click" in words
    assert "click refused 1" in words
    html = page(include_events(_verdict(outcome="missed"), judged)).decode()
    assert "events: p(50) &lt; 10" in html and "freshness: p(50) &lt; 10" in html
    assert "20 of 20 very next answers reflect the click" in html


def test_run_without_any_event_reads_all_the_same():
    judged = EventsVerdict(EventCounts(), ["too few"])
    assert describe_events(judged)
    assert b"Events" in page(include_events(_verdict(), judged))


def test_objectives_that_need_an_answer_are_refused_for_events():
    with pytest.raises(ValueError, match="events: cannot use 'goodput"):
        Slo(events=("goodput >= 0.9",))
    with pytest.raises(ValueError, match="freshness: cannot read"):
        Slo(freshness=("soon",))
    slo = Slo(freshness=("p(99) < 10", "p(99){redis-outage} < 500"))
    assert [one.bound for one in slo.freshness_objectives("redis-outage")] == [500]


def test_users_are_divided_into_those_who_ask_and_those_who_click():
    users = [KnownUser(f"u{n}", ["a"]) for n in range(5)]
    askers, clickers = divide(Traffic(["a", "b"], users))
    assert [user.user_id for user in askers.users] == ["u0", "u2", "u4"]
    assert [user.user_id for user in clickers] == ["u1", "u3"]
    assert askers.items == ["a", "b"]


def test_ids_of_two_runs_never_meet():
    clickers = [KnownUser("u", ["a"])]
    ids = [Clicks(clickers, ["a"], 1.0, random.Random(seed)).click("u", "a").event_id for seed in (1, 2)]
    assert ids[0] != ids[1]


def test_log_of_answers_reads_as_it_was_written(tmp_path):
    path = tmp_path / "answers.txt"
    assert read_began(path) is None
    log = AnswerLog(path)
    log.begin(12.5)
    assert (read_began(path), read_requests(path)) == (12.5, [])
    model = Model("sasrec", "fp32", "abc")
    log.note(Answer("r", [], model, "popular", "feature_cache_down", True), 2.0, 0.0105, known=True)
    log.note(Answer("r", [], model, "model", "ok", False), 1.0, 0.002, known=False)
    log.note_failure("status\t500\n", 3.0)
    log.write()
    first, second, third = read_requests(path)
    assert (first.due, first.latency, first.known, first.state) == (1.0, 0.002, False, "ok")
    assert (second.degraded, second.version, second.answered) == (True, "abc", 2.0105)
    assert (third.failed, third.degraded, third.latency, third.state) == (True, False, None, "failed:status 500")


def test_client_asks_again_only_when_no_answer_came():
    class Answered(msgspec.Struct):
        status_code: int

    class Client:
        def __init__(self, *statuses):
            self.left = list(statuses)

        def post(self, path, **options):
            return Answered(self.left.pop(0))

    assert Retrying(Client(0, 200), 1).post("/predict").status_code == 200
    assert Retrying(Client(0, 0, 200), 1).post("/predict").status_code == 0
    assert Retrying(Client(500, 200), 1).post("/predict").status_code == 500

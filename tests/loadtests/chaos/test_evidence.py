"""What came of a row is counted from requests and events, and held to its limits."""

from collections import Counter

import msgspec
import pytest

from loadtests.answer_log import OK, LoggedRequest
from loadtests.chaos.evidence import Window, examine
from loadtests.chaos.rows import AT_MOST_HELD, Limits
from loadtests.chaos.table import line, markdown
from loadtests.counts import Counts, Health
from loadtests.event_tally import EventCounts
from loadtests.event_verdict import EventsVerdict
from loadtests.verdict import Setup, Verdict

WINDOW = Window(2.0, 4.0)
DOWN = "feature_cache_down"
SETUP = Setup("events", "http://x", "words", 10, 10, 0.7, 0.1, 1.0, 10, 100, 5)


def asked(due, state=OK, *, latency=0.01, known=True, version="a") -> LoggedRequest:
    failed = state.startswith("failed:")
    return LoggedRequest(due, None if failed else latency, known, state, "-" if failed else version)


def outcome(requests, *, limits=None, accepted=("e-1", "e-2"), recorded=("e-1", "e-2"), proof=None, **named):
    counts = EventCounts(sent=2, refused={"status 503": 3}, asked=0, clicked=named.pop("clicked", 0))
    counts.stale = named.pop("stale", 0)
    verdict = Verdict(
        "met", [], [], None, Counts(begun=named.pop("begun", len(requests))), Health(), SETUP,
        events=EventsVerdict(counts),
    )  # fmt: skip
    named = {"row": "row", "what": "what", "control_of": None, "breaks": None} | named
    return examine(
        requests, verdict, dict.fromkeys(accepted, 1.0), Counter(recorded), WINDOW, proof or {},
        limits or Limits(), **named,
    )  # fmt: skip


CALM = [asked(n / 10) for n in range(60)]


def test_row_in_which_nothing_was_lost_is_as_expected():
    found = outcome(CALM)
    assert found.broken == {} and found.as_expected
    assert (found.in_window, found.failed, found.missing, found.twice) == (20, 0, 0, 0)
    assert (found.events_refused, found.events_accepted) == (3, 2)


def test_only_what_was_due_during_the_fault_counts_as_in_it():
    found = outcome([asked(1.99, DOWN), asked(2.0, DOWN), asked(3.0), asked(3.99, DOWN), asked(4.0, DOWN)])
    assert found.in_window == 3
    assert found.degraded == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"requests": [*CALM, asked(1.0, "failed:status 500")]}, "failed"),
        ({"requests": CALM, "begun": 61}, "begun"),
        ({"requests": [asked(1.0), asked(5.9)]}, "hit"),
        ({"requests": CALM, "proof": {"hit": False}}, "hit"),
        ({"requests": CALM[:55]}, "after"),
        ({"requests": CALM, "recorded": ("e-1",)}, "missing"),
        ({"requests": CALM, "recorded": ("e-1", "e-2", "e-2")}, "twice"),
        ({"requests": CALM, "accepted": ()}, "accepted"),
        ({"requests": CALM, "stale": 1}, "stale"),
        ({"requests": [*CALM, asked(3.0, latency=0.6)]}, "p99_ms"),
        ({"requests": [*CALM, *(asked(4.0 + n / 2, DOWN) for n in range(1, 4))]}, "recover_s"),
        ({"requests": [*CALM, asked(3.0, version="b")]}, "versions"),
    ],
)
def test_limit_that_is_not_kept_is_named(more, name):
    found = outcome(**more)
    assert list(found.broken) == [name]
    assert not found.as_expected


def test_control_must_break_its_own_limit_and_not_just_any():
    failing = [*CALM, asked(3.0, "failed:status 500")]
    assert outcome(failing, control_of="row", breaks="failed").as_expected
    assert not outcome(failing, control_of="row", breaks="missing").as_expected
    assert not outcome(CALM, control_of="row", breaks="failed").as_expected


def test_killed_worker_may_take_as_many_requests_with_it_as_it_had_connections():
    failing = [*CALM, *(asked(3.0, "failed:ConnectionResetError") for _ in range(3))]
    limits = Limits(failed=AT_MOST_HELD, p99_ms=None)
    assert outcome(failing, limits=limits, proof={"connections on it": 3}).as_expected
    assert list(outcome(failing, limits=limits, proof={"connections on it": 2}).broken) == ["failed"]


def test_recovery_counts_from_the_end_of_the_fault_and_only_answers_that_could_be_weak():
    requests = [asked(4.1, known=False), asked(4.2, DOWN), asked(4.3), asked(9.0, DOWN)]
    found = outcome([*CALM[:40], *requests])
    assert found.first_good_s == pytest.approx(0.31)
    assert found.last_degraded_s == pytest.approx(0.21)  # what came five seconds later has another cause


def test_percentile_in_which_too_many_failed_is_none():
    found = outcome([*CALM, *(asked(3.0, "failed:x") for _ in range(5))])
    assert found.p99_ms is None
    assert {"failed", "p99_ms"} == set(found.broken)


def test_table_holds_rows_controls_and_what_broke():
    row, control = outcome(CALM), outcome(CALM, row="row/without", control_of="row", breaks="failed")
    text = markdown([row, control])
    assert "| row: what | 2.0 to 4.0 | 20 | 0 |" in text
    assert "- row/without: NOTHING BROKE" in text
    assert "NOT AS EXPECTED" in line(control) and "as expected" in line(row)
    assert msgspec.json.decode(msgspec.json.encode(row))["row"] == "row"

"""The verdict in words: nothing is left unsaid that a reader needs to trust it, or not to."""

import msgspec
import pytest

from loadtests.counts import Counts, Health
from loadtests.figures import Figures
from loadtests.objective_words import milliseconds
from loadtests.verdict import HookRun, JudgedObjective, Setup, Verdict
from loadtests.wording import CLOSED_WORKLOAD, describe_generator, describe_mix, render

SETUP = Setup(
    scenario="server",
    url="http://127.0.0.1:3000",
    workload="Poisson arrivals, 200 per second",
    expected=2000,
    seconds=10,
    known_share=0.7,
    anonymous_share=0.1,
    zipf_exponent=1.0,
    k=10,
    known_users=1234,
    median_history=12.5,
)
FIGURES = Figures(
    requests_per_second=1999.5,
    goodput_per_second=198.0,
    success=0.995,
    goodput=0.99,
    degraded=0.001,
    latency_ms={"p50": 4.0, "p99": 40.123, "p99.9": None},
    lag_ms={"p50": 0.05, "p99": 0.4},
    first_good_seconds=1.234,
)
COUNTS = Counts(
    begun=2000,
    answered=1997,
    failures={"status 503": 7, "TimeoutError": 3},
    sources={"model": 1600, "popular": 390},
    reasons={"ok": 1600, "cold_user": 390},
    versions={"sasrec:int8 0123456789ab": 1990},
    most_in_flight=17,
)
HEALTH = Health(seconds=10.04, cpu_share=0.314, finished=True)
MISSED = [
    JudgedObjective("p(99) < 100", 40.123, True),
    JudgedObjective("p(99.9) < 200", None, False),
    JudgedObjective("goodput >= 0.999", 0.99, False),
]


def verdict(setup=None, **changes) -> Verdict:
    fields = {"outcome": "missed", "problems": [], "objectives": MISSED, "figures": FIGURES, "counts": COUNTS}
    setup = msgspec.structs.replace(SETUP, **(setup or {}))
    return Verdict(**(fields | {"health": HEALTH, "setup": setup} | changes))


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("met", "SLO met"), ("missed", "SLO missed"), ("not valid", "not valid, no figures")],
)
def test_first_line_says_what_was_tested_and_how_it_ended(outcome, words):
    first = render(verdict(outcome=outcome)).splitlines()[0]
    assert first == f"load test of http://127.0.0.1:3000, scenario server: {words}"


@pytest.mark.parametrize(
    "words",
    [
        "met         p(99) < 100          found 40.12 ms",
        "MISSED      p(99.9) < 200        found too many failed",
        "MISSED      goodput >= 0.999     found 99.000%",
        "1,999.5 requests/s, goodput 198.0 requests/s (99.000%)",
        "p50 4.00 ms, p99 40.12 ms, p99.9 beyond any bound (too many failed)",
        "2,000 in 10.0 s: 1,990 answered well, 10 not (3 without any answer)",
        "Poisson arrivals, 200 per second; at most 17 under way at once",
        "by source: model 1,600, popular 390; by reason: cold_user 390, ok 1,600",
        "sasrec:int8 0123456789ab 1,990",
        "31% of a core; requests left p50 0.05 ms, p99 0.40 ms late; latency counts from when a request was due",
    ],
)
def test_every_figure_comes_with_its_unit(words):
    assert words in render(verdict())


def test_problems_are_said_and_no_figure_is():
    words = render(verdict(outcome="not valid", problems=["too few.", "too late."], objectives=[], figures=None))
    assert words.splitlines()[1:3] == ["  too few.", "  too late."]
    assert not {"rate", "latency", "met", "MISSED"} & {line.split()[0] for line in words.splitlines()}
    assert "requests left" not in words
    assert "2,000 in 10.0 s" in words


def test_latency_without_enough_samples_for_any_percentile_says_so():
    figures = msgspec.structs.replace(FIGURES, latency_ms={})
    assert "  latency     too few samples" in render(verdict(figures=figures))


def test_five_worst_failures_are_named_worst_first():
    failures = {f"status {500 + n}": n for n in range(1, 8)}
    words = render(verdict(counts=msgspec.structs.replace(COUNTS, failures=failures)))
    failed = [line.split(maxsplit=1)[1] for line in words.splitlines() if line.startswith("  failed")]
    assert failed == [f"{n} x status {500 + n}" for n in (7, 6, 5, 4, 3)]


def test_run_in_which_nothing_happened_reads_all_the_same():
    words = render(verdict(counts=Counts(), figures=None, objectives=[]))
    assert "by source: none; by reason: none" in words
    assert "failed" not in words


def test_hooks_stand_with_their_moment_and_how_they_ended():
    hooks = [HookRun(20, "redis-cli shutdown", 0), HookRun(2.5, "sleep 100"), HookRun(30, "false", 1)]
    words = render(verdict(hooks=[*hooks, HookRun(90, "touch never", begun=False)]))
    assert "  at 90 s     touch never (never ran)" in words
    assert "  at 20 s     redis-cli shutdown (exit code 0)" in words
    assert "  at 2.5 s    sleep 100 (still running)" in words
    assert "  at 30 s     false (exit code 1)" in words


def test_commands_that_failed_or_never_ran_are_warned_of_right_under_the_headline():
    well = [HookRun(1, "true", 0), HookRun(2, "sleep 9")]
    hooks = [*well, HookRun(3, "nosuch", 127), HookRun(90, "late", begun=False)]
    lines = render(verdict(hooks=hooks)).splitlines()
    assert lines[1:3] == [
        "  WARNING     the command of second 3 ended with exit code 127: nosuch",
        "  WARNING     the command of second 90 never ran: the test had ended: late",
    ]
    assert "WARNING" not in render(verdict(hooks=well))


def test_closed_workload_says_what_it_cannot_tell_and_an_open_one_need_not():
    assert CLOSED_WORKLOAD in render(verdict({"expected": None, "scenario": "offline"}))
    assert CLOSED_WORKLOAD not in render(verdict({"expected": None, "scenario": "cold-start"}))
    assert CLOSED_WORKLOAD not in render(verdict())


def test_cold_start_says_how_long_the_first_good_answer_took():
    assert "first good answer after 1.23 s" in render(verdict({"scenario": "cold-start"}))
    assert "first good answer" not in render(verdict())
    never = msgspec.structs.replace(FIGURES, first_good_seconds=None)
    assert "first good answer" not in render(verdict({"scenario": "cold-start"}, figures=never))


def test_mix_names_every_kind_of_user_with_its_share():
    assert describe_mix(verdict()) == (
        "70% of the visits by 1,234 known users (median history 12.5 items, Zipf exponent 1), "
        "10% by anonymous ones with a history, 20% by cold ones; k 10"
    )
    assert describe_mix(verdict({"known_users": 0})) == "cold users only (no traffic file)"


def test_of_several_generators_the_busiest_is_told():
    words = describe_generator(verdict({"generators": 4}))
    assert words.startswith("31% of a core in the busiest of 4 processes; ")


def test_milliseconds_beyond_any_bound_are_no_number():
    assert milliseconds(1234.567) == "1234.57 ms"
    assert milliseconds(None) == "beyond any bound (too many failed)"

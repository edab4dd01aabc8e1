"""What is said of promotions under load, with a catalog that is not large."""

import msgspec
import pytest
from click.testing import CliRunner

from contracts.faults import RunNotValid
from loadtests.answer_log import FAILED, OK, LoggedRequest
from loadtests.counts import Counts, Health
from loadtests.event_tally import EventCounts
from loadtests.event_verdict import EventsVerdict
from loadtests.peers import promotions
from loadtests.peers.catalog_plans import Plan
from loadtests.peers.promotion_rows import Memory, Moments, Promotion, Report, examine, markdown
from loadtests.steady_load import Pressure
from loadtests.verdict import Setup, Verdict

TINY = Plan(items=200, users=60, interactions=2000, rungs=("popularity", "item-to-item"), measured=False)
MEMORY = Memory(100.0, 250.0, 200.0)


def asked(due: float, latency: float | None, version: str, state: str = OK) -> LoggedRequest:
    return LoggedRequest(due, latency, True, state, version)


DAY = [
    *(asked(n / 10, 0.002, "old") for n in range(50)),
    asked(5.5, 0.9, "old"),
    asked(5.6, 0.4, "new"),
    asked(6.0, 0.05, "old"),
    *(asked(7.5 + n / 10, 0.003, "new") for n in range(20)),
]


def examined(requests: list[LoggedRequest], refused_calls: int = 0) -> Promotion:
    return examine(
        requests, "new", Moments(5.0, 5.25), MEMORY, refused_calls=refused_calls,
        size=1_000_000, before="popularity:fp32", after="sasrec:scann", after_mb=213.4, rate=200.0,
    )  # fmt: skip


def _table(one: Promotion) -> str:
    return markdown(Report("A Processor", 2, 2, "2026-01-02", "python -m this", 40, [one]))


def test_seconds_count_from_the_call_of_the_command():
    one = examined(DAY)
    assert one.command_s == pytest.approx(0.25)
    assert one.first_new_s == pytest.approx(6.0 - 5.0)
    assert one.last_old_s == pytest.approx(6.4 - 5.0)


def test_latencies_are_told_of_before_meanwhile_and_afterwards():
    one = examined(DAY)
    assert one.p99_ms == pytest.approx((2.0, 900.0, 3.0))
    assert (one.slowest_ms, one.over_100_ms) == (pytest.approx(900.0), 2)


def test_whoever_got_no_good_answer_meanwhile_noticed():
    assert examined(DAY).unnoticed
    failed = examined([*DAY, asked(5.7, None, "-", f"{FAILED}ConnectionRefusedError")])
    assert (failed.requests, failed.bad, failed.unnoticed) == (len(DAY) + 1, (0, 1, 0), False)
    assert failed.why == {"failed:ConnectionRefusedError": 1}
    assert (failed.slowest_ms, failed.over_100_ms, failed.p99_ms[1]) == (None, 3, None)
    degraded = examined([*DAY, asked(5.7, 0.01, "old", "deadline")])
    assert (degraded.bad, degraded.why, degraded.unnoticed) == ((0, 1, 0), {"deadline": 1}, False)
    assert not examined(DAY, refused_calls=1).unnoticed


def test_who_asked_before_and_still_waited_is_meanwhile():
    late = examined([*DAY, asked(4.8, 0.5, "old")])
    assert (late.slowest_ms, late.over_100_ms) == (pytest.approx(900.0), 3)
    assert examined([*DAY, asked(4.0, None, "-", f"{FAILED}not answered")]).bad == (0, 1, 0)


def test_who_is_too_much_for_the_artifact_anyway_is_not_the_fault_of_its_promotion():
    one = examined([asked(1.0, 0.01, "old", "deadline"), *DAY, asked(9.0, 0.01, "new", "deadline")])
    assert (one.bad, one.unnoticed) == ((1, 0, 1), True)
    assert "- sasrec:scann of 1,000,000 items: 2 x deadline" in _table(one).splitlines()


def test_what_never_answered_was_not_promoted():
    with pytest.raises(RunNotValid, match="new never answered"):
        examined([one for one in DAY if one.version == "old"])


@pytest.mark.parametrize(
    ("logged", "health", "said"),
    [
        (11, Health(finished=True), "11 of 12"),
        (12, Health(finished=False), "12 of 12"),
        (12, Health(finished=True, cpu_share=0.95), "did not keep up"),
        (12, Health(finished=True, clock_jump_seconds=9), "did not keep up"),
    ],
)
def test_a_load_that_was_none_gives_no_figures(logged, health, said):
    setup = Setup("events", "http://here", "100/s", 1e3, 10.0, 0.9, 0.1, 1.0, 10, 30, 7.0)
    events = EventsVerdict(EventCounts(asked=2))
    verdict = Verdict("not valid", ["it stood still"], [], None, Counts(begun=10), health, setup, events=events)
    with pytest.raises(RunNotValid, match=said):
        promotions._check(verdict, logged)


def test_table_says_every_figure_and_how_it_was_found():
    lines = _table(examined(DAY)).splitlines()
    assert lines[2] == (
        "| 1,000,000 | popularity:fp32 | sasrec:scann | 213 | 73 | 0, 0, 0 | 0.2 | 1.0 to 1.4 | 2.0, 900.0, 3.0 "
        "| 900 | 2 | 100, 250, 200 |"
    )
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
    assert "A Processor, 2 cores" in lines[-1] and "40 s each; 2026-01-02; `python -m this`" in lines[-1]


def test_a_catalog_with_nothing_to_promote_is_refused(tmp_path):
    (tmp_path / "artifacts").mkdir()
    with pytest.raises(RunNotValid, match="holds 0 popular lists and 0 others"):
        promotions._chain(tmp_path)


@pytest.mark.parametrize(
    ("more", "refused_calls", "exit_code"),
    [([], 0, 0), ([asked(5.7, 0.01, "old", "deadline")], 0, 1), ([], 1, 1)],
)
def test_the_report_is_written_whatever_it_says_and_exit_code_1_says_that_somebody_noticed(
    tmp_path, monkeypatch, more, refused_calls, exit_code
):
    found = examined([*DAY, *more], refused_calls)
    monkeypatch.setattr(promotions, "run", lambda plans, base, pressure: [found])
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path))
    result = CliRunner().invoke(promotions.main, ["--sizes", "1000000"], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    assert result.stdout.splitlines()[-1] == str(tmp_path / "promotions.json")
    report = msgspec.json.decode((tmp_path / "promotions.json").read_bytes(), type=Report)
    assert report.promotions == [found]


def test_a_small_catalog_is_promoted_under_load_and_no_request_fails(tmp_path, monkeypatch):
    """`flyweight` is really called: sample, split, train, export, promote, materialize, serve; and locust asks. A
    machine that halts makes answers degraded."""
    monkeypatch.setattr(promotions, "_BEFORE_SECONDS", 2)
    (one,) = promotions.run([TINY], tmp_path, Pressure(50, 10, 10))
    assert (one.size, one.before, one.after) == (200, "popularity:fp32", "item-to-item:fp32")
    assert one.requests > 300
    assert not any(state.startswith(FAILED) for state in one.why)
    assert 0 <= one.first_new_s <= one.last_old_s + 3
    assert 0 < one.memory.before <= one.memory.most

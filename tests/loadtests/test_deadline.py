"""Services that drown, hang or trickle: what takes longer than 5 s is no answer, and the run ends in time."""

import pytest

from loadtests.order import SCENARIOS
from loadtests.session import TOO_LATE
from loadtests.verdict import Verdict

FEW_CONNECTIONS = """
from loadtests.scenarios.server import Server

Server.concurrency = 4
"""
LONGEST_SECONDS = 2 + 5 + 1.5
"""As long as requests are due, until the last of them counts as not answered, and a little."""


@pytest.fixture
def play(tmp_path, run_locust, monkeypatch):
    """Two seconds of requests over four connections."""
    story = tmp_path / "few.py"
    story.write_text(FEW_CONNECTIONS)
    monkeypatch.setitem(SCENARIOS, "few", story)

    def play(url: str, *, rate: int) -> Verdict:
        options = ("--seconds=2", f"--rate={rate}")
        _, output, verdict = run_locust(url, *options, scenario="few", slo=["p(50) < 4900"])
        assert verdict is not None, output
        return verdict

    return play


def test_an_answer_after_a_long_wait_for_a_connection_counts_as_none(start_stub, play, answer_well):
    stub = start_stub(answer_well)
    stub.wait = lambda n: 1.0  # four a second where twenty are due: the last would wait for ten seconds
    verdict = play(stub.url, rate=20)
    counts = verdict.counts
    assert verdict.outcome == "missed", verdict.problems
    assert set(counts.failures) == {TOO_LATE}
    assert 10 <= counts.valid <= 28
    assert counts.begun == counts.valid + counts.failures[TOO_LATE]
    assert all(second.p99_ms is None or second.p99_ms <= 5050 for second in verdict.seconds)
    assert verdict.health.finished and verdict.health.seconds < LONGEST_SECONDS


def test_a_service_that_hangs_has_missed_the_slo_and_the_generator_is_not_blamed(start_stub, play, answer_well):
    stub = start_stub(answer_well)
    stub.wait = lambda n: 0.0 if n < 20 else 60.0
    verdict = play(stub.url, rate=100)
    assert (verdict.outcome, verdict.exit_code, verdict.problems) == ("missed", 1, [])
    assert verdict.counts.valid == 20
    assert verdict.counts.failures == {TOO_LATE: verdict.counts.begun - 20}
    assert verdict.health.finished and verdict.health.seconds < LONGEST_SECONDS
    assert verdict.figures.requests_per_second == pytest.approx(10, rel=0.01)  # 20 in 2 s


def test_an_answer_that_trickles_for_longer_counts_as_none(start_stub, play, answer_well):
    stub = start_stub(answer_well)
    stub.trickle = lambda n: 0.0 if n < 10 else 8.0
    verdict = play(stub.url, rate=20)
    assert verdict.outcome == "missed", verdict.problems
    assert verdict.counts.failures == {TOO_LATE: verdict.counts.begun - 10}

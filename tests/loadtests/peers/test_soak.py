"""The fit and the verdict of a soak on planted slices, and one short soak of a real service."""

import random
import shutil
import time

import pytest
from click.testing import CliRunner

from contracts.faults import RunNotValid
from loadtests.peers import soak, wrk
from loadtests.peers.soak_verdict import Slice, growth_of, judge, lost_of, table, words
from loadtests.peers.wrk import Errors
from loadtests.processes import family_of

needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


def a_slice(number: int = 1, pss_mb: float = 300.0, **changed) -> Slice:
    figures = {
        "ended_s": number * 20.0, "answers": 60_000, "counted": 60_010, "rps": 3000.0, "p50_ms": 20.0,
        "p99_ms": 40.0, "max_ms": 90.0, "over_100_ms": 0, "errors": Errors(0, 0, 0, 0, 0), "fallbacks": 0,
        "unanswered": 0, "rss_mb": 500.0, "pss_mb": pss_mb,
    }  # fmt: skip
    return Slice(**(figures | changed))


def growing(mb_per_hour: float, noise_mb: float = 0.0, count: int = 30) -> list[Slice]:
    draw = random.Random(1)
    return [a_slice(n, 300 + mb_per_hour * n * 20 / 3600 + draw.gauss(0, noise_mb)) for n in range(1, count + 1)]


def verdict_of(slices: list[Slice]):
    return judge(slices, connections=64, settle_seconds=120)


def test_planted_growth_is_found_with_its_uncertainty():
    exact = growth_of(growing(12.0))
    assert exact.mb_per_hour == pytest.approx(12.0)
    assert exact.uncertainty == pytest.approx(0.0, abs=1e-6)
    assert exact.answers_per_hour == pytest.approx(3000 * 3600)
    noisy = growth_of(growing(12.0, noise_mb=0.5))
    assert 0 < noisy.uncertainty < 12
    assert abs(noisy.mb_per_hour - 12.0) < 1.5 * noisy.uncertainty


def test_memory_is_flat_below_one_mb_per_100_000_answers():
    at_limit = 108  # MB per hour at 3,000 answers a second
    assert verdict_of(growing(at_limit * 0.99)).growth.flat
    assert not verdict_of(growing(at_limit * 1.01)).growth.flat
    assert verdict_of(growing(-500)).growth.flat


def test_growth_that_noise_may_hide_is_not_called_flat():
    assert not verdict_of(growing(0.0, noise_mb=100.0)).growth.flat


def test_the_first_two_minutes_are_not_looked_at_and_a_short_soak_gives_no_verdict_on_memory():
    warming = [a_slice(n, 100.0 + 30 * n) for n in range(1, 7)]
    assert verdict_of(warming + growing(0.0)[6:]).growth.flat
    short = verdict_of(warming)
    assert short.growth is None and short.passed
    assert "Memory: not judged" in words(short)


@pytest.mark.parametrize(
    ("changed", "lost"),
    [
        ({}, 0),
        ({"counted": 60_000}, 0),
        ({"counted": 60_064}, 0),
        ({"counted": 60_065}, 1),
        ({"counted": 59_998}, 2),
        ({"errors": Errors(1, 2, 3, 50, 0)}, 6),  # a bad status is an answer
        ({"unanswered": 4}, 4),
    ],
)
def test_lost_answers_are_those_that_connections_in_flight_cannot_explain(changed, lost):
    one = a_slice(**changed)
    assert lost_of(one, connections=64) == lost
    verdict = verdict_of([*growing(0.0), one])
    assert (verdict.lost, verdict.passed) == (lost, not lost)


def test_verdict_and_table_say_every_figure():
    slices = [*growing(0.0), a_slice(31, over_100_ms=7, max_ms=123.4)]
    said = words(verdict_of(slices))
    assert "Memory: flat; PSS grows by +0.00 ± 0.00 MB per hour" in said
    assert "1,860,000 received, 0 lost" in said
    assert "Over 100 ms: 7 answers" in said
    lines = table(slices, 64).splitlines()
    assert len(lines) == 32
    assert len({len(line) for line in lines}) == 1
    assert "123.4" in lines[-1]


def test_missing_wrk_exits_3_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path / "reports"))
    result = CliRunner().invoke(soak.main, ["--minutes", "1"])
    assert result.exit_code == 3
    assert "apt-get install wrk" in result.output
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(("found", "code"), [(growing(0.0), 0), (growing(500.0), 1)])
def test_exit_code_is_the_verdict_and_the_report_is_written_either_way(monkeypatch, tmp_path, found, code):
    monkeypatch.setenv("FLYWEIGHT_PATHS_REPORTS", str(tmp_path))
    monkeypatch.setattr(soak, "run", lambda plan, paths: (found, verdict_of(found)))
    result = CliRunner().invoke(soak.main, [])
    assert result.exit_code == code, result.output
    assert str(tmp_path / "soak.json") in result.stdout.splitlines()
    assert (tmp_path / "soak.json").exists()


@needs_wrk
def test_late_answers_are_counted_once_each(start_stub, answer_of_wrk):
    """wrk itself counts a late answer again for every question that it kept from being asked."""

    def slow_sometimes(n, body, request_id):
        if n % 50 == 49:
            time.sleep(0.13)
        return answer_of_wrk(n, body, request_id)

    stub = start_stub(slow_sometimes)
    found, _ = wrk.load(stub.url, connections=1, seconds=2, users=50)
    assert found.over_100_ms == pytest.approx(found.answers / 50, abs=1.5)


@needs_wrk
def test_where_all_answers_are_late_all_are_counted(start_stub, answer_of_wrk):
    def slow(n, body, request_id):
        time.sleep(0.12)
        return answer_of_wrk(n, body, request_id)

    found, _ = wrk.load(start_stub(slow).url, connections=1, seconds=4, users=50)
    assert found.over_100_ms == found.answers > 10


@needs_wrk
def test_a_short_soak_of_a_real_service_loses_nothing_and_ends_it(world, tmp_path, monkeypatch):
    seen = []
    measure = soak._load
    monkeypatch.setattr(soak, "_load", lambda service, *rest: seen.append(service) or measure(service, *rest))
    slices, verdict = soak.soak(world, soak.Plan(slices=1, connections=4, slice_seconds=1), tmp_path)
    assert verdict.lost == 0 and verdict.passed  # on a machine that halts, a deadline may pass: no answer is lost
    assert 0 <= slices[0].counted - slices[0].answers <= 4
    assert slices[0].answers > 0
    assert 10 < slices[0].pss_mb < slices[0].rss_mb
    assert family_of(seen[0].process.pid) == []


def test_a_service_that_answers_without_its_model_is_no_valid_soak(start_stub):
    if shutil.which("wrk"):
        stub = start_stub(lambda n, body, request_id: (200, {"source": "popular"}))
        service = type("Service", (), {"url": stub.url})
        with pytest.raises(RunNotValid, match="What came instead"):
            soak._check(service, soak.Plan(slices=1, connections=2, slice_seconds=1))

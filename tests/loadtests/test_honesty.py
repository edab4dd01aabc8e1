"""What is reported is what those who asked would have felt, where a generator that waits for answers says better.

Each stub has a delay of which theory says what must be found. Both figures are printed: `pytest -s`.
"""

import itertools
import random
import time

import pytest

from contracts.sections import Loadtest, Settings, Slo
from loadtests.order import Order
from loadtests.run import run
from loadtests.verdict import Verdict


@pytest.fixture
def play(traffic_file, tmp_path):
    def play(
        url: str, scenario: str, *, rate: float, seconds: int, slo: str = "p(50) < 4000", max_lag_ms: float = 200.0
    ) -> Verdict:
        settings = Settings(
            loadtest=Loadtest(rate=rate, duration_seconds=seconds, connections=4, max_lag_ms=max_lag_ms),
            slo=Slo(predict=(slo,)),
        )
        return run(Order(url, scenario, traffic_file), settings, tmp_path / scenario)

    return play


def tell(title: str, theory: dict[str, float], opened: Verdict, closed: Verdict) -> None:
    print(f"\n{title}")
    for name, expected in theory.items():
        found = [verdict.figures.latency_ms[name] for verdict in (opened, closed)]
        print(f"  {name:5} theory {expected:8.1f} ms   open {found[0]:8.1f} ms   closed {found[1]:8.1f} ms")


def test_a_service_that_stalls_for_a_second_in_ten(start_stub, play, answer_well):
    """Who comes during the stall waits for its end: a tenth of all, by up to a second, evenly."""

    def stalling():
        began = time.monotonic()

        def answer(n, body, request_id):
            moment = (time.monotonic() - began) % 10
            if moment > 9:
                time.sleep(10 - moment)  # the stub has one thread: everybody waits
            return answer_well(n, body, request_id)

        return answer

    opened = play(start_stub(stalling()).url, "server", rate=200.0, seconds=10)
    closed = play(start_stub(stalling()).url, "single-stream", rate=200.0, seconds=10)
    theory = {"p95": 500.0, "p99": 900.0}
    tell("stalls for 1 s every 10 s", theory, opened, closed)
    assert opened.figures.latency_ms["p95"] == pytest.approx(500, abs=200)
    assert opened.figures.latency_ms["p99"] == pytest.approx(900, abs=80)
    assert closed.figures.latency_ms["p99"] < 100


def test_a_service_of_constant_time_that_answers_one_at_a_time(start_stub, play, answer_well):
    """The queue of M/D/1, by Lindley's recursion over a million arrivals."""
    took: list[float] = []

    def answer(n, body, request_id):
        began = time.perf_counter()
        time.sleep(0.004)
        reply = answer_well(n, body, request_id)
        took.append(time.perf_counter() - began)
        return reply

    rate = 150.0
    opened = play(start_stub(answer).url, "server", rate=rate, seconds=10)
    service = sorted(took)[len(took) // 2]
    closed = play(start_stub(answer).url, "single-stream", rate=rate, seconds=6)
    theory = _md1(rate, service)
    tell(f"{service * 1000:.1f} ms each, one at a time, {rate:g} arrivals/s", theory, opened, closed)
    for name, expected in theory.items():
        assert opened.figures.latency_ms[name] == pytest.approx(expected, rel=0.35, abs=1.5)
    assert closed.figures.latency_ms["p99"] < 0.6 * opened.figures.latency_ms["p99"]


def test_a_service_that_fails_once_in_a_hundred(start_stub, play, answer_well):
    """Who gets no answer waits for ever: 1 % of failures leave p50 and p90 alone and have no p99.9."""

    def answer(n, body, request_id):
        return (503, {"error": {}}) if n % 100 == 99 else answer_well(n, body, request_id)

    opened = play(start_stub(answer).url, "server", rate=1000.0, seconds=11, slo="p(99.9) < 4000")
    figures = opened.figures
    print(f"\nfails 1 %: success {figures.success:.4f}, {figures.latency_ms}")
    assert figures.success == pytest.approx(0.99, abs=0.0002)
    assert figures.latency_ms["p90"] < 100
    assert figures.latency_ms["p99.9"] is None
    assert (opened.outcome, opened.objectives[0].value) == ("missed", None)


def test_a_generator_that_cannot_keep_up_says_so_and_gives_no_figure(start_stub, play, answer_well):
    verdict = play(start_stub(answer_well).url, "server", rate=30_000.0, seconds=2, max_lag_ms=10.0)
    print("\n" + "\n".join(verdict.problems))
    assert (verdict.outcome, verdict.exit_code, verdict.figures) == ("not valid", 3, None)
    assert any("load generator" in problem for problem in verdict.problems)


def _md1(rate: float, service: float, arrivals: int = 1_000_000) -> dict[str, float]:
    """Percentiles in milliseconds of waiting and being served."""
    luck, wait, times = random.Random(1), 0.0, []
    for _ in itertools.repeat(None, arrivals):
        times.append(wait + service)
        wait = max(0.0, wait + service - luck.expovariate(rate))
    times.sort()
    return {f"p{percent}": times[int(arrivals * percent / 100)] * 1000 for percent in (50, 90, 99)}

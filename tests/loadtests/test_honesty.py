"""What is reported is what those who asked would have felt, where a generator that waits for answers says better.

The stub notes when it was done with whom; recorded visits are replayed, so that it is known when each was due. A
halt of the machine is in the notes as well as in the report. Both figures are printed: `pytest -s`.
"""

import json
import math
import random
import time
from collections.abc import Callable, Sequence

import pytest

from contracts.load_sections import Loadtest, Slo
from contracts.sections import Settings
from loadtests.arrivals import poisson
from loadtests.order import Order
from loadtests.run import run
from loadtests.verdict import Verdict


@pytest.fixture
def play(start_stub, answer_well, traffic_file, tmp_path):
    """Play a scenario against a stub; the verdict, and what answered. A long halt of the machine makes the
    generator so late that the run says so and gives no figure; it is played again, against a new stub."""

    def play(
        answers: Callable,
        scenario: str,
        *,
        gives_figures: bool = True,
        slo: str = "p(50) < 4000",
        replay: float | None = None,
        **load: float,
    ) -> tuple[Verdict, Callable]:
        settings = Settings(
            loadtest=Loadtest(connections=4, **{"max_lag_ms": 2000.0, **load}), slo=Slo(predict=(slo,))
        )
        for _ in range(3):
            answer = answers(answer_well)
            order = Order(start_stub(answer).url, scenario, traffic_file, replay)
            verdict = run(order, settings, tmp_path / scenario)
            if verdict.figures or not gives_figures:
                return verdict, answer
        return pytest.fail(f"three runs were not valid: {verdict.problems}")

    return play


def tell(title: str, theory: dict[str, float], opened: Verdict, closed: Verdict) -> None:
    print(f"\n{title}")
    for name, expected in theory.items():
        found = [verdict.figures.latency_ms[name] for verdict in (opened, closed)]
        print(f"  {name:5} theory {expected:8.1f} ms   open {found[0]:8.1f} ms   closed {found[1]:8.1f} ms")


@pytest.fixture
def record_visits(traffic_file) -> Callable[[float], dict[str, float]]:
    """When each of the traffic file's visitors comes, each of them once: so many a second on average, for 10 s."""

    def record(rate: float) -> dict[str, float]:
        traffic = json.loads(traffic_file.read_bytes())
        dues = {f"visitor-{n}": due for n, due in enumerate(poisson(rate, 10.0, random.Random(1)))}
        traffic["users"] = [{"user_id": visitor, "history": traffic["items"][:1]} for visitor in dues]
        traffic["visits"] = [[due, n] for n, due in enumerate(dues.values())]
        traffic_file.write_text(json.dumps(traffic))
        return dues

    return record


class Noting:
    """A stub's answers by one thread: who comes while it is busy waits. What it really did is remembered, for a
    busy machine wakes it late: who asked -> when it began and when it was done, never where it failed."""

    def __init__(self, answer_well) -> None:
        self._answer_well = answer_well
        self.spells: dict[str, tuple[float, float]] = {}

    def __call__(self, n: int, body: dict, request_id: str):
        began = time.monotonic()
        good = self.work(n, began)
        self.spells[body.get("user_id", "")] = began, time.monotonic() if good else math.inf
        # it knows everybody
        return self._answer_well(n, {**body, "history": []}, request_id) if good else (503, {"error": {}})

    def work(self, n: int, began: float) -> bool:
        """Whether it comes to an answer."""
        raise NotImplementedError

    def percentiles(self, dues: dict[str, float], percents: Sequence[int]) -> dict[str, float]:
        """In milliseconds, from when each was due to when this was done with it. The run began when the one came
        that waited least."""
        started = min(began - dues[user] for user, (began, _) in self.spells.items())
        times = sorted(done - dues[user] - started for user, (_, done) in self.spells.items())
        return {f"p{percent}": times[len(times) * percent // 100] * 1000 for percent in percents}


class Stalling(Noting):
    """From 4 to 5 s after its first request it sleeps, once in ten seconds, and everybody waits."""

    first: float | None = None

    def work(self, n: int, began: float) -> bool:
        self.first = began if self.first is None else self.first
        within = (began - self.first) % 10
        if 4 <= within < 5:
            time.sleep(5 - within)
        return True


def test_a_service_that_stalls_for_a_second_in_ten(play, record_visits):
    """Who comes during the stall waits for its end: a tenth of all, by up to a second, evenly.

    So p95 is about 500 ms and p99 900 ms, and more where the machine itself halts.
    """
    dues = record_visits(150.0)
    opened, stub = play(Stalling, "server", replay=1.0, duration_seconds=10)
    closed, _ = play(Stalling, "single-stream", duration_seconds=10)
    theory = stub.percentiles(dues, (95, 99))
    tell("stalls for 1 s every 10 s", theory, opened, closed)
    assert theory["p95"] > 400
    assert theory["p99"] > 850
    for name, expected in theory.items():
        assert opened.figures.latency_ms[name] == pytest.approx(expected, abs=80)
    assert closed.figures.latency_ms["p99"] < 100


class OneAtATime(Noting):
    """4 ms each."""

    def work(self, n: int, began: float) -> bool:
        time.sleep(0.004)
        return True


def test_a_service_of_constant_time_that_answers_one_at_a_time(play, record_visits):
    """A queue, M/D/1 by its name. Each waits from when it was due until those before it were answered and it was,
    too; who asks alone, when the last answer has come, never sees that."""
    dues = record_visits(150.0)
    opened, stub = play(OneAtATime, "server", replay=1.0, duration_seconds=10)
    closed, _ = play(OneAtATime, "single-stream", duration_seconds=10)
    theory = stub.percentiles(dues, (50, 90, 99))
    service = closed.figures.latency_ms["p50"]
    tell(f"{service:.1f} ms each, one at a time, 150 arrivals/s", theory, opened, closed)
    for name, expected in theory.items():
        assert opened.figures.latency_ms[name] == pytest.approx(expected, rel=0.2, abs=2)
    assert closed.figures.latency_ms["p99"] < 0.6 * opened.figures.latency_ms["p99"]


class Failing(Noting):
    """Once in a hundred."""

    def work(self, n: int, began: float) -> bool:
        return n % 100 != 99


def test_a_service_that_fails_once_in_a_hundred(play, record_visits):
    """Who gets no answer waits for ever: 1 % of failures leave p50 and p90 alone and have no p99.9."""
    dues = record_visits(1100.0)
    opened, stub = play(Failing, "server", replay=1.0, duration_seconds=10, slo="p(99.9) < 4000")
    theory = stub.percentiles(dues, (50, 90))
    figures = opened.figures
    print(f"\nfails 1 %: success {figures.success:.4f}, {figures.latency_ms}, theory {theory}")
    assert figures.success == pytest.approx(1 - len(dues) // 100 / len(dues))
    for name in ("p50", "p90"):
        assert figures.latency_ms[name] == pytest.approx(theory[name], rel=0.2, abs=20)
    assert figures.latency_ms["p99.9"] is None
    assert (opened.outcome, opened.objectives[0].value) == ("missed", None)


def test_a_generator_that_cannot_keep_up_says_so_and_gives_no_figure(play):
    load = {"rate": 30_000.0, "duration_seconds": 2, "max_lag_ms": 10.0}
    verdict, _ = play(lambda answer_well: answer_well, "server", gives_figures=False, **load)
    print("\n" + "\n".join(verdict.problems))
    assert (verdict.outcome, verdict.exit_code, verdict.figures) == ("not valid", 3, None)
    assert any("load generator" in problem for problem in verdict.problems)

"""What is reported is what those who asked would have felt, where a generator that waits for answers says better.

Each stub has a delay of which theory says what must be found. Both figures are printed: `pytest -s`.
"""

import json
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
    """Play a scenario against a stub; the verdict, and what answered. A halt of the machine may make the generator
    late; then the run says so and gives no figure, and is played again, against a new stub."""

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
            loadtest=Loadtest(connections=4, **{"max_lag_ms": 200.0, **load}), slo=Slo(predict=(slo,))
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
def recorded_visits(traffic_file) -> dict[str, float]:
    """When each of the traffic file's visitors comes, each of them once: 150 a second on average, for 10 s."""
    traffic = json.loads(traffic_file.read_bytes())
    dues = {f"visitor-{n}": due for n, due in enumerate(poisson(150.0, 10.0, random.Random(1)))}
    traffic["users"] = [{"user_id": visitor, "history": traffic["items"][:1]} for visitor in dues]
    traffic["visits"] = [[due, n] for n, due in enumerate(dues.values())]
    traffic_file.write_text(json.dumps(traffic))
    return dues


class Noting:
    """A stub's answers by one thread: who comes while it is busy waits. What it really did is remembered, for a
    busy machine wakes it late: who asked -> when it began and when it was done."""

    def __init__(self, answer_well) -> None:
        self._answer_well = answer_well
        self.spells: dict[str, tuple[float, float]] = {}

    def __call__(self, n: int, body: dict, request_id: str):
        began = time.monotonic()
        self.work(began)
        self.spells[body.get("user_id", "")] = began, time.monotonic()
        return self._answer_well(n, {**body, "history": []}, request_id)  # it knows everybody

    def work(self, began: float) -> None:
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

    def work(self, began: float) -> None:
        self.first = began if self.first is None else self.first
        within = (began - self.first) % 10
        if 4 <= within < 5:
            time.sleep(5 - within)


def test_a_service_that_stalls_for_a_second_in_ten(play, recorded_visits):
    """Who comes during the stall waits for its end: a tenth of all, by up to a second, evenly.

    So p95 is about 500 ms and p99 900 ms, and more where the machine itself halts.
    """
    opened, stub = play(Stalling, "server", replay=1.0, duration_seconds=10)
    closed, _ = play(Stalling, "single-stream", duration_seconds=10)
    theory = stub.percentiles(recorded_visits, (95, 99))
    tell("stalls for 1 s every 10 s", theory, opened, closed)
    assert theory["p95"] > 400
    assert theory["p99"] > 850
    for name, expected in theory.items():
        assert opened.figures.latency_ms[name] == pytest.approx(expected, abs=80)
    assert closed.figures.latency_ms["p99"] < 100


class OneAtATime(Noting):
    """4 ms each."""

    def work(self, began: float) -> None:
        time.sleep(0.004)


def test_a_service_of_constant_time_that_answers_one_at_a_time(play, recorded_visits):
    """A queue, M/D/1 by its name. Each waits from when it was due until those before it were answered and it was,
    too; who asks alone, when the last answer has come, never sees that."""
    opened, stub = play(OneAtATime, "server", replay=1.0, duration_seconds=10)
    closed, _ = play(OneAtATime, "single-stream", duration_seconds=6)
    theory = stub.percentiles(recorded_visits, (50, 90, 99))
    service = closed.figures.latency_ms["p50"]
    tell(f"{service:.1f} ms each, one at a time, 150 arrivals/s", theory, opened, closed)
    for name, expected in theory.items():
        assert opened.figures.latency_ms[name] == pytest.approx(expected, rel=0.2, abs=2)
    assert closed.figures.latency_ms["p99"] < 0.6 * opened.figures.latency_ms["p99"]


def test_a_service_that_fails_once_in_a_hundred(play):
    """Who gets no answer waits for ever: 1 % of failures leave p50 and p90 alone and have no p99.9.

    A busy machine may be slow for a tenth of a run; of three runs it is not in all.
    """

    def failing(answer_well):
        return lambda n, *asked: (503, {"error": {}}) if n % 100 == 99 else answer_well(n, *asked)

    for _ in range(3):
        opened, _ = play(failing, "server", rate=1000.0, duration_seconds=11, slo="p(99.9) < 4000")
        figures = opened.figures
        if figures.latency_ms["p90"] < 100:
            break
    print(f"\nfails 1 %: success {figures.success:.4f}, {figures.latency_ms}")
    assert figures.success == pytest.approx(0.99, abs=0.0002)
    assert figures.latency_ms["p90"] < 100
    assert figures.latency_ms["p99.9"] is None
    assert (opened.outcome, opened.objectives[0].value) == ("missed", None)


def test_a_generator_that_cannot_keep_up_says_so_and_gives_no_figure(play):
    load = {"rate": 30_000.0, "duration_seconds": 2, "max_lag_ms": 10.0}
    verdict, _ = play(lambda answer_well: answer_well, "server", gives_figures=False, **load)
    print("\n" + "\n".join(verdict.problems))
    assert (verdict.outcome, verdict.exit_code, verdict.figures) == ("not valid", 3, None)
    assert any("load generator" in problem for problem in verdict.problems)

"""Admission by time, in simulated time: a worker whose model takes 4 ms per request and a deadline of 100 ms.

The model takes the event loop for itself, so arrivals are read only between its batches, as from a socket.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from service.batching import Batcher
from service.errors import Overloaded
from service.pace import Pace

WORK, READING, REFUSAL, DEADLINE = 0.004, 0.0003, 0.00003, 0.1
SECONDS, SETTLING = 20, 2
CAPACITY = 1 / WORK


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Outcome:
    """When who was answered came and how long it took, and when who was refused came."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @property
    def latencies(self) -> list[float]:
        """Once the worker knows its pace."""
        return [latency for arrived, latency in self.answered if arrived > SETTLING]

    @property
    def good(self) -> float:
        """Answers in time, per second."""
        return sum(latency <= DEADLINE for latency in self.latencies) / (SECONDS - SETTLING)

    def percentile(self, share: float) -> float:
        latencies = sorted(self.latencies)
        return latencies[int(share * len(latencies))]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("service.batching.perf_counter", clock)
    monkeypatch.setattr("service.pace.perf_counter", clock)
    return clock


def arrivals(rate: float) -> list[float]:
    """At random times, as independent users come."""
    luck, now, found = random.Random(7), 0.0, []
    while (now := now + luck.expovariate(rate)) < SECONDS:
        found.append(now)
    return found


def play(
    clock: Clock,
    due: list[float],
    *,
    work: Callable[[float, int], float] = lambda now, requests: WORK * requests,
    reading: float = READING,
) -> Outcome:
    """`work`: seconds of a batch that begins at a time and has so many requests."""
    outcome = Outcome()

    class Asker:
        def __init__(self, arrived: float) -> None:
            self.arrived, self.is_done = arrived, False

        def done(self) -> bool:
            return self.is_done

        def set_result(self, reply: float) -> None:
            self.is_done = True
            outcome.answered.append((self.arrived, clock.now - self.arrived))
            batcher.leave()

    async def answer(batch: list[float]) -> list[float]:
        clock.now += reading
        pace.note_reading(reading)
        await asyncio.sleep(0)
        clock.now += work(clock.now, len(batch))
        return batch

    def let_in(waiting: Iterator[float], upcoming: float | None) -> float | None:
        while upcoming is not None and upcoming <= clock.now:
            try:
                batcher.enter()
                batcher.submit(upcoming, Asker(upcoming), upcoming)
            except Overloaded:
                outcome.refused.append(upcoming)
                clock.now += REFUSAL
            upcoming = next(waiting, None)
        return upcoming

    async def lifetime() -> None:
        batcher.start()
        waiting = iter(due)
        upcoming = next(waiting)
        while upcoming is not None or batcher.is_busy():
            upcoming = let_in(waiting, upcoming)
            await asyncio.sleep(0)
            if not batcher.is_busy() and upcoming is not None:
                clock.now = max(clock.now, upcoming)
        await batcher.stop()

    pace = Pace(DEADLINE, largest_batch=64)
    batcher: Batcher[float, float] = Batcher(answer, max_batch=64, max_in_flight=1024, pace=pace)
    asyncio.run(lifetime())
    assert len(outcome.answered) + len(outcome.refused) == len(due)
    return outcome


@pytest.mark.parametrize("load", [0.1, 0.5, 0.7])
def test_below_capacity_nobody_is_refused(clock: Clock, load: float) -> None:
    outcome = play(clock, arrivals(load * CAPACITY))
    assert not outcome.refused
    assert outcome.percentile(0.99) < DEADLINE / 2


@pytest.mark.parametrize("load", [1, 2, 3, 5])
def test_over_capacity_as_many_are_answered_as_can_be_and_in_time(clock: Clock, load: float) -> None:
    outcome = play(clock, arrivals(load * CAPACITY))
    assert outcome.good > 0.9 * CAPACITY
    assert outcome.percentile(0.99) < DEADLINE


def test_without_admission_by_time_nobody_would_be_answered_in_time(clock: Clock, monkeypatch) -> None:
    """What the tests above would find if nothing was done: this is what it is done for."""
    monkeypatch.setattr(Pace, "note_batch", lambda *measured: None)
    outcome = play(clock, arrivals(3 * CAPACITY))
    assert outcome.good < 0.05 * CAPACITY


def test_a_hiccup_refuses_at_most_who_came_meanwhile(clock: Clock) -> None:
    def hiccup(now: float, requests: int) -> float:
        return 0.3 if 10 < now < 10.25 else WORK * requests

    due = arrivals(0.5 * CAPACITY)
    outcome = play(clock, due, work=hiccup)
    assert len(outcome.refused) < sum(10 < moment < 10.4 for moment in due)
    assert all(10 < moment < 10.6 for moment in outcome.refused)


def test_a_heavier_model_is_noticed(clock: Clock) -> None:
    outcome = play(clock, arrivals(3 * CAPACITY), work=lambda now, n: n * (0.0002 if now < 10 else WORK))
    assert min(outcome.refused) > 10
    assert sum(latency > DEADLINE for latency in outcome.latencies) < 0.05 * len(outcome.latencies)


def test_a_redis_that_takes_its_time_refuses_nobody(clock: Clock) -> None:
    outcome = play(clock, arrivals(0.3 * CAPACITY), work=lambda now, n: n * 0.0003, reading=0.03)
    assert not outcome.refused

"""A service that stalls, a machine that halts, and what they must make of the latencies."""

import threading
import time
from collections.abc import Sequence
from itertools import pairwise

TICK_SECONDS = 0.005


class Stalling:
    """A stub's answers: from 4 to 5 s after its first request it sleeps, once in ten seconds, and everybody waits,
    for the stub has one thread. What it really did is remembered, for a busy machine wakes it late.
    """

    def __init__(self, answer_well) -> None:
        self._answer_well = answer_well
        self.moments: list[float] = []
        self._slept: list[tuple[float, float]] = []

    def __call__(self, n: int, body: dict, request_id: str):
        moment = time.monotonic()
        within = (moment - self.moments[0]) % 10 if self.moments else 0.0
        if 4 <= within < 5:
            time.sleep(5 - within)
            self._slept.append((moment, time.monotonic()))
        self.moments.append(time.monotonic())
        return self._answer_well(n, body, request_id)

    def stalls(self) -> list[tuple[float, float]]:
        """Who waited for the end of a sleep was answered one after the other until nobody asked any more, in
        whatever order: after half of that time, on average."""
        return [(begin, (end + self._first_pause_after(end)) / 2) for begin, end in self._slept]

    def _first_pause_after(self, end: float) -> float:
        later = [moment for moment in self.moments if moment >= end]
        return next((one for one, other in pairwise(later) if other - one > TICK_SECONDS), end)


class Halts(threading.Thread):
    """Wakes up every few milliseconds and writes down when it could not: then nobody on the machine got on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found: list[tuple[float, float]] = []
        self._ends = threading.Event()

    def run(self) -> None:
        before = time.monotonic()
        while not self._ends.wait(TICK_SECONDS):
            now = time.monotonic()
            if now - before > 6 * TICK_SECONDS:
                self.found.append((before, now))
            before = now

    def __enter__(self) -> "Halts":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()


def percentiles_of(stalls: Sequence[tuple[float, float]], began: float, seconds: int) -> dict[str, float]:
    """Percentiles in milliseconds over arrivals that come evenly; who comes during a stall waits for its end.

    Between stalls that are a tick or two apart nothing gets done.
    """
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(stalls):
        if merged and begin < merged[-1][1] + 2 * TICK_SECONDS:
            begin, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((begin, end))
    moments = [began + n * seconds / 10_000 for n in range(10_000)]
    waits = sorted(
        max([end - moment for begin, end in merged if begin <= moment < end], default=0.0) for moment in moments
    )
    return {f"p{percent}": waits[len(waits) * percent // 100] * 1000 for percent in (95, 99)}

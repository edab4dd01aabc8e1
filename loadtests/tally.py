"""What happened, counted by ourselves: one tally per generator process, added up without loss.

Latencies are kept one by one in microseconds, because a percentile of rounded or averaged figures is
no percentile. A worker reports its counts as totals and its latencies as what is new, so a report that
is lost shows as requests without an answer, never as a better figure.
"""

import time
from array import array
from collections.abc import Iterable, Mapping

import msgspec

from loadtests.answers import Answer
from loadtests.traffic import Question


class Counts(msgspec.Struct):
    """Requests by what became of them. `sources` and `reasons` count valid answers only."""

    begun: int = 0
    answered: int = 0
    failures: dict[str, int] = {}
    sources: dict[str, int] = {}
    reasons: dict[str, int] = {}
    known_by_model: int = 0
    known_without_model: dict[str, int] = {}
    """Valid answers to known users from another source than the model, by reason."""
    seconds: float = 0.0
    cpu_share: float = 0.0
    """Share of one core that the busiest generator process used, 0 to 1."""
    finished: bool = False

    @property
    def valid(self) -> int:
        return sum(self.reasons.values())

    @property
    def unanswered(self) -> int:
        return self.begun - self.answered


class Tally:
    """Counts and latencies of one process, or of several added up.

    `healthy_us` and `degraded_us` hold the latency of each valid answer in microseconds.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.healthy_us = array("I")
        self.degraded_us = array("I")
        self._reported = (0, 0)
        self._started = time.perf_counter()
        self._cpu_started = time.process_time()

    def begin(self) -> None:
        self.counts.begun += 1

    def record_answer(self, question: Question, answer: Answer, latency_ms: float) -> None:
        counts = self.counts
        counts.answered += 1
        _count(counts.sources, answer.source)
        _count(counts.reasons, answer.reason)
        if question.known and answer.source == "model":
            counts.known_by_model += 1
        elif question.known:
            _count(counts.known_without_model, answer.reason)
        (self.degraded_us if answer.degraded else self.healthy_us).append(round(latency_ms * 1000))

    def record_failure(self, complaint: str, *, answered: bool) -> None:
        self.counts.answered += answered
        _count(self.counts.failures, complaint)

    def finish(self) -> None:
        """Stop the clock: no request is under way any more."""
        self.counts.seconds = time.perf_counter() - self._started
        self.counts.cpu_share = (time.process_time() - self._cpu_started) / self.counts.seconds
        self.counts.finished = True

    def report(self) -> dict[str, object]:
        """What another process has to know now, in plain types: all counts, and the latencies that are new."""
        healthy, degraded = self._reported
        self._reported = len(self.healthy_us), len(self.degraded_us)
        return {
            "counts": msgspec.to_builtins(self.counts, str_keys=True),
            "healthy_us": self.healthy_us[healthy:].tobytes(),
            "degraded_us": self.degraded_us[degraded:].tobytes(),
        }

    def absorb(self, report: Mapping) -> None:
        """Take in the next report of the one process that this tally stands for."""
        self.counts = msgspec.convert(report["counts"], Counts)
        self.healthy_us.frombytes(report["healthy_us"])
        self.degraded_us.frombytes(report["degraded_us"])


def add_up(tallies: Iterable[Tally]) -> Tally:
    """One tally for processes that ran side by side: counts add, the longest duration counts."""
    total = Tally()
    sums = total.counts
    sums.finished = True
    for tally in tallies:
        counts = tally.counts
        sums.begun += counts.begun
        sums.answered += counts.answered
        sums.known_by_model += counts.known_by_model
        for name in ("failures", "sources", "reasons", "known_without_model"):
            for key, number in getattr(counts, name).items():
                _count(getattr(sums, name), key, number)
        sums.seconds = max(sums.seconds, counts.seconds)
        sums.cpu_share = max(sums.cpu_share, counts.cpu_share)
        sums.finished = sums.finished and counts.finished
        total.healthy_us.extend(tally.healthy_us)
        total.degraded_us.extend(tally.degraded_us)
    return total


def _count(counter: dict[str, int], key: str, number: int = 1) -> None:
    counter[str(key)] = counter.get(str(key), 0) + number

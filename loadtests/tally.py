"""What happened, counted by ourselves: one tally per generator process, added up without loss.

A process always reports all its sums, so a report that is lost is made good by the next one.
"""

from collections.abc import Iterable, Mapping

import msgspec
from hdrh.histogram import HdrHistogram

from contracts.reasons import Source
from loadtests.answer_log import NoLog
from loadtests.answers import Answer
from loadtests.counting import count, microseconds, new_histogram
from loadtests.counts import Counts, Health
from loadtests.event_tally import EventTally
from loadtests.visits import Question

_DIGITS_OF_A_SECOND = 2


class Second:
    """One second of a run: latencies of valid answers by when they were due, and how many were not good."""

    def __init__(self) -> None:
        self.latency_us = new_histogram(_DIGITS_OF_A_SECOND)
        self.begun = self.failed = self.degraded = 0


class Tally:
    """`healthy_us`, `degraded_us`: latencies of valid answers. `lag_us`: how late requests left the generator.

    `events`: what became of events. `log`: is told of every request.
    """

    def __init__(self, bound_us: float = float("inf")) -> None:
        self.counts = Counts()
        self.health = Health()
        self.healthy_us = new_histogram()
        self.degraded_us = new_histogram()
        self.lag_us = new_histogram()
        self.seconds: dict[int, Second] = {}
        self._new_seconds: set[int] = set()
        self._sent_seconds: set[int] = set()
        self._bound_us = bound_us
        self._in_flight = 0
        self.events = EventTally()
        self.log = NoLog()

    def begin(self, due: float, lag: float, question: Question | None = None) -> None:
        """A request that was due `due` seconds after the start is sent `lag` seconds later."""
        self.counts.begun += 1
        if question is not None and question.opens_visit:
            self.counts.visits += 1
            self.counts.known_visits += question.known
        self._second(due).begun += 1
        self.lag_us.record_value(microseconds(lag))
        self._in_flight += 1
        self.counts.most_in_flight = max(self.counts.most_in_flight, self._in_flight)

    def record_answer(self, question: Question, answer: Answer, due: float, latency: float) -> None:
        """`latency`: seconds from when the request was due to when all of its answer had come."""
        counts, second, latency_us = self.counts, self._second(due), microseconds(latency)
        self._in_flight -= 1
        self.log.note(answer, due, latency, known=question.known)
        counts.answered += 1
        count(counts.sources, answer.source)
        count(counts.reasons, answer.reason)
        count(counts.versions, f"{answer.model.name}:{answer.model.variant} {answer.model.version}")
        self._count_model(question, answer)
        second.latency_us.record_value(latency_us)
        second.degraded += answer.degraded
        if not answer.degraded and latency_us <= self._bound_us:
            counts.good += 1
            if self.health.first_good_seconds is None:
                self.health.first_good_seconds = due + latency
        (self.degraded_us if answer.degraded else self.healthy_us).record_value(latency_us)

    def _count_model(self, question: Question, answer: Answer) -> None:
        """Whoever has a history is to get the model: it is what the test is about."""
        counts, by_model = self.counts, answer.source == Source.MODEL
        if question.known and by_model:
            counts.known_by_model += 1
        elif question.known:
            count(counts.known_without_model, answer.reason)
        elif question.history and by_model:
            counts.anonymous_by_model += 1
        elif question.history:
            count(counts.anonymous_without_model, answer.reason)

    def record_failure(self, complaint: str, due: float, *, answered: bool) -> None:
        self._in_flight -= 1
        self.log.note_failure(complaint, due)
        self.counts.answered += answered
        self._second(due).failed += 1
        count(self.counts.failures, complaint)

    def _second(self, due: float) -> Second:
        second = int(due)
        self._new_seconds.add(second)
        if second not in self.seconds:
            self.seconds[second] = Second()
        return self.seconds[second]

    def report(self) -> dict[str, object]:
        """For the process that adds up, in plain types: all sums, and the seconds that are new or have changed."""
        seconds = {n: self.seconds[n] for n in self._new_seconds | self._sent_seconds}
        self._sent_seconds, self._new_seconds = self._new_seconds, set()
        return {
            "counts": msgspec.to_builtins(self.counts, str_keys=True),
            "health": msgspec.to_builtins(self.health),
            "events": self.events.report(),
            **{name: getattr(self, name).encode() for name in _HISTOGRAMS},
            "seconds": {n: (s.begun, s.failed, s.degraded, s.latency_us.encode()) for n, s in seconds.items()},
        }

    def absorb(self, report: Mapping) -> None:
        """Take in the next report of the one process that this tally stands for."""
        self.counts = msgspec.convert(report["counts"], Counts)
        self.health = msgspec.convert(report["health"], Health)
        self.events.absorb(report["events"])
        for name in _HISTOGRAMS:
            setattr(self, name, HdrHistogram.decode(report[name]))
        for number, (begun, failed, degraded, latency_us) in report["seconds"].items():
            second = self._second(int(number))
            second.begun, second.failed, second.degraded = begun, failed, degraded
            second.latency_us = HdrHistogram.decode(latency_us)


_HISTOGRAMS = ("healthy_us", "degraded_us", "lag_us")


def add_up(tallies: Iterable[Tally]) -> Tally:
    """One tally for processes that ran side by side: counts add, of times and shares the greatest counts."""
    total = Tally()
    total.health.finished = True
    for tally in tallies:
        total.counts.add(tally.counts)
        total.events.add(tally.events)
        for name in ("seconds", "cpu_share", "clock_jump_seconds", "due_seconds"):
            setattr(total.health, name, max(getattr(total.health, name), getattr(tally.health, name)))
        total.health.finished &= tally.health.finished
        firsts = [t.health.first_good_seconds for t in (total, tally) if t.health.first_good_seconds is not None]
        total.health.first_good_seconds = min(firsts, default=None)
        for name in _HISTOGRAMS:
            getattr(total, name).add(getattr(tally, name))
        for second, one in tally.seconds.items():
            sums = total._second(second)
            sums.begun, sums.failed = sums.begun + one.begun, sums.failed + one.failed
            sums.degraded += one.degraded
            sums.latency_us.add(one.latency_us)
    return total

"""What became of the events that were sent, and how soon answers reflected them, counted by ourselves."""

from collections.abc import Mapping

import msgspec
from hdrh.histogram import HdrHistogram

from loadtests.counting import add_counts, count, microseconds, new_histogram


class EventCounts(msgspec.Struct):
    """Calls of POST /events, and the events in them.

    `calls`: that were due; `resent`: calls with events that had been refused, beside these. `refused`: calls of
    either kind that got no 202, by why. `sent`: different events; `accepted`, `duplicates` and `rejected`: as the
    service says. `given_up`: events that were never answered 202.

    `clicked`: clicks, answered 202, after which a user asked again at once; `reflected`: those of them that the
    very next answer reflected; `stale`: those that it, a good answer, did not reflect; `unmeasured`: what came in
    the way, by what it was. `asked`: questions for that, which no other count holds; `failed`: those of them that
    got no good answer.
    """

    calls: int = 0
    resent: int = 0
    refused: dict[str, int] = {}
    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    given_up: int = 0
    clicked: int = 0
    reflected: int = 0
    stale: int = 0
    unmeasured: dict[str, int] = {}
    asked: int = 0
    failed: int = 0


class EventTally:
    """`latency_us`: of the calls that were due and answered 202, from when they were due. `freshness_us`: from the
    arrival of a 202 to the arrival of the first answer that reflects its click."""

    def __init__(self) -> None:
        self.counts = EventCounts()
        self.latency_us = new_histogram()
        self.freshness_us = new_histogram()

    def begin_call(self, events: int) -> None:
        self.counts.calls += 1
        self.counts.sent += events

    def record_accepted(self, accepted: int, duplicates: int, rejected: int, latency: float | None) -> None:
        """A 202. `latency`: seconds since the call was due; None for one that was sent again."""
        self.counts.accepted += accepted
        self.counts.duplicates += duplicates
        self.counts.rejected += rejected
        if latency is not None:
            self.latency_us.record_value(microseconds(latency))

    def record_refused(self, why: str) -> None:
        count(self.counts.refused, why)

    def record_reflected(self, seconds: float, *, at_once: bool) -> None:
        """An answer reflects the click; `at_once`: the very next one did."""
        self.counts.reflected += at_once
        self.counts.stale += not at_once
        self.freshness_us.record_value(microseconds(seconds))

    def record_unmeasured(self, why: str) -> None:
        count(self.counts.unmeasured, why)

    def report(self) -> dict[str, object]:
        """All sums, in plain types, for the process that adds up."""
        counts = msgspec.to_builtins(self.counts)
        return {"counts": counts, **{name: getattr(self, name).encode() for name in _HISTOGRAMS}}

    def absorb(self, report: Mapping) -> None:
        self.counts = msgspec.convert(report["counts"], EventCounts)
        for name in _HISTOGRAMS:
            setattr(self, name, HdrHistogram.decode(report[name]))

    def add(self, other: "EventTally") -> None:
        add_counts(self.counts, other.counts)
        for name in _HISTOGRAMS:
            getattr(self, name).add(getattr(other, name))


_HISTOGRAMS = ("latency_us", "freshness_us")

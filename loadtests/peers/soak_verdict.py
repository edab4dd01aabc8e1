"""The slices of a soak, and what follows from them: is memory flat, was an answer lost?"""

from collections.abc import Sequence
from math import sqrt
from statistics import linear_regression

import msgspec

from loadtests.peers.wrk import Errors

FLAT_MB = 1.0
"""Memory is flat when it surely grows by less than this per 100,000 answers."""

_LEAST_SLICES = 3
_COLUMNS = (
    ("at s", 6), ("requests/s", 11), ("p50 ms", 8), ("p99 ms", 8), ("max ms", 8), ("> 100 ms", 9), ("errors", 7),
    ("fallbacks", 10), ("unanswered", 11), ("lost", 5), ("RSS MB", 8), ("PSS MB", 8),
)  # fmt: skip


class Slice(msgspec.Struct, frozen=True):
    """One pass of wrk. `ended_s`: seconds since the load began. `answers` is what wrk received, `counted` what the
    service says it gave. Memory is that of the service's whole process tree after the pass, in MB: of RSS, what
    processes share counts for each, of PSS once.
    """

    ended_s: float
    answers: int
    counted: int
    rps: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    over_100_ms: int
    errors: Errors
    fallbacks: int
    unanswered: int
    rss_mb: float
    pss_mb: float


class Growth(msgspec.Struct, frozen=True):
    """A straight line through PSS over time; `uncertainty` is two standard errors of its slope."""

    mb_per_hour: float
    uncertainty: float
    answers_per_hour: float
    flat: bool


class Verdict(msgspec.Struct, frozen=True):
    """`growth` is None where fewer than 3 slices were left to judge it by. `errors` are all that wrk counted."""

    growth: Growth | None
    answers: int
    lost: int
    over_100_ms: int
    errors: int
    fallbacks: int
    passed: bool


def judge(slices: Sequence[Slice], *, connections: int, settle_seconds: float) -> Verdict:
    """What `settle_seconds` of the beginning did to memory is not looked at; everything else counts."""
    growth = growth_of([one for one in slices if one.ended_s > settle_seconds])
    lost = sum(lost_of(one, connections) for one in slices)
    return Verdict(
        growth=growth,
        answers=sum(one.answers for one in slices),
        lost=lost,
        over_100_ms=sum(one.over_100_ms for one in slices),
        errors=sum(one.errors.total for one in slices),
        fallbacks=sum(one.fallbacks for one in slices),
        passed=not lost and (growth is None or growth.flat),
    )


def lost_of(one: Slice, connections: int) -> int:
    """Answers of a slice that are missing: given but not received, received but not counted, never given, or given
    after 2 s.

    When wrk stops, up to `connections` questions are under way, whose answers it does not receive.
    """
    ahead = one.counted - one.answers
    outside = max(0, ahead - connections) + max(0, -ahead)
    return outside + one.errors.connect + one.errors.read + one.errors.write + one.unanswered


def growth_of(slices: Sequence[Slice]) -> Growth | None:
    """None for fewer than 3 slices. Flat when even the upper end of the growth stays below the limit."""
    if len(slices) < _LEAST_SLICES:
        return None
    hours = [one.ended_s / 3600 for one in slices]
    memory = [one.pss_mb for one in slices]
    slope, start = linear_regression(hours, memory)
    residuals = sum((mb - start - slope * hour) ** 2 for hour, mb in zip(hours, memory, strict=True))
    middle = sum(hours) / len(hours)
    spread = sum((hour - middle) ** 2 for hour in hours)
    uncertainty = 2 * sqrt(residuals / (len(slices) - 2) / spread)
    per_hour = sum(one.answers for one in slices[1:]) / (hours[-1] - hours[0])
    return Growth(slope, uncertainty, per_hour, flat=slope + uncertainty < FLAT_MB * per_hour / 100_000)


def table(slices: Sequence[Slice], connections: int) -> str:
    """A line per slice."""
    head = "".join(name.rjust(width) for name, width in _COLUMNS)
    return "\n".join([head, *(row(one, connections) for one in slices)])


def row(one: Slice, connections: int) -> str:
    cells = (
        f"{one.ended_s:.0f}", f"{one.rps:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.max_ms:.1f}",
        f"{one.over_100_ms:,}", str(one.errors.total), str(one.fallbacks), str(one.unanswered),
        str(lost_of(one, connections)), f"{one.rss_mb:.1f}", f"{one.pss_mb:.1f}",
    )  # fmt: skip
    return "".join(cell.rjust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))


def words(verdict: Verdict) -> str:
    """The verdict in three sentences."""
    late = verdict.over_100_ms / verdict.answers if verdict.answers else 0.0
    return (
        f"{_of_memory(verdict.growth)}\n"
        f"Answers: {verdict.answers:,} received, {verdict.lost:,} lost; {verdict.errors:,} errors, "
        f"{verdict.fallbacks:,} fallbacks.\n"
        f"Over 100 ms: {verdict.over_100_ms:,} answers, {late:.4%}."
    )


def _of_memory(growth: Growth | None) -> str:
    if growth is None:
        return "Memory: not judged; that takes 3 slices after the first two minutes. Soak for 3 minutes or more."
    found = f"PSS grows by {growth.mb_per_hour:+.2f} ± {growth.uncertainty:.2f} MB per hour"
    if growth.answers_per_hour:
        upper = (growth.mb_per_hour + growth.uncertainty) / growth.answers_per_hour * 100_000
        found += f", at most {upper:+.3f} MB per 100,000 answers"
    return f"Memory: {'flat' if growth.flat else 'NOT FLAT'}; {found}, allowed below {FLAT_MB:g}."

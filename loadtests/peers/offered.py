"""What came of rates beyond the capacity: figures, what they must be, and their picture."""

from collections.abc import Sequence

import msgspec

from loadtests.peers.curves import Dot, Line, Picture
from loadtests.verdict import Verdict

DEADLINE_MS, _LEAST_SHARE = 100, 0.9


class Offered(msgspec.Struct, frozen=True):
    """What came of one rate, per second. Shares of all requests, 0 to 1. `p99_ms`: of what was accepted."""

    multiple: float
    offered: float
    goodput: float
    p50_ms: float
    p99_ms: float
    refused: float
    degraded: float
    other_failures: float
    generator_cpu: float


class Report(msgspec.Struct):
    """The content of `reports/overload.json`. `capacity`: answers per second to askers who wait."""

    machine: str
    cores: int
    date: str
    items: int
    seconds: int
    capacity: float
    curve: list[Offered]


def offered(multiple: float, verdict: Verdict) -> Offered:
    counts, figures = verdict.counts, verdict.figures
    refused = counts.failures.get("status 429", 0)
    return Offered(
        multiple=multiple,
        offered=counts.begun / verdict.setup.seconds,
        goodput=counts.good / verdict.setup.seconds,
        p50_ms=figures.accepted_ms["p50"],
        p99_ms=figures.accepted_ms["p99"],
        refused=refused / counts.begun,
        degraded=figures.degraded or 0.0,
        other_failures=(counts.begun - counts.valid - refused) / counts.begun,
        generator_cpu=verdict.health.cpu_share,
    )


def judge(curve: Sequence[Offered]) -> list[str]:
    """What is not as it should be, in words."""
    best = max(one.goodput for one in curve)
    at_three = next(one for one in curve if one.multiple == 3)
    problems = []
    if at_three.goodput < _LEAST_SHARE * best:
        problems.append(
            f"goodput at 3x is {at_three.goodput / best:.0%} of its highest, expected {_LEAST_SHARE:.0%}"
        )
    problems += [
        f"p99 of what is accepted is {one.p99_ms:.0f} ms at {one.multiple:g}x, expected {DEADLINE_MS} ms at most"
        for one in curve if one.p99_ms > DEADLINE_MS
    ]  # fmt: skip
    return problems


def in_words(one: Offered) -> str:
    return (
        f"{one.multiple:g}x: {one.offered:,.0f}/s offered, goodput {one.goodput:,.0f}/s, p50 {one.p50_ms:.1f} ms, "
        f"p99 {one.p99_ms:.1f} ms of what was accepted; 429 {one.refused:.1%}, degraded {one.degraded:.1%}, other "
        f"failures {one.other_failures:.2%}; generator {one.generator_cpu:.0%} of a core"
    )


def picture_of(report: Report) -> Picture:
    dots = tuple(Dot(round(one.offered), one.goodput, one.p50_ms, one.p99_ms) for one in report.curve)
    small_print = (
        f"{report.machine}, one worker on a core of its own, generator on another; {report.date}; "
        f"{report.items:,} items, capacity {report.capacity:,.0f}/s",
        "what is refused (429) counts as offered; p50 and p99 are of what was accepted",
    )
    lines = (Line("goodput, answers per second", dots),)
    return Picture("Goodput under overload", "requests per second offered", lines, small_print, log_x=False)

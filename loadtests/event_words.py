"""What a run found out about events, as lines for a terminal."""

from collections.abc import Mapping

from loadtests.event_verdict import EventsVerdict
from loadtests.objectives import JudgedObjective


def describe_events(events: EventsVerdict) -> list[str]:
    counts = events.counts
    lines = [
        *(_objective_line("events", one) for one in events.objectives),
        *(_objective_line("freshness", one) for one in events.freshness_objectives),
        f"  events      {counts.sent:,} sent in {counts.calls:,} calls: {counts.accepted:,} accepted, "
        f"{counts.duplicates:,} duplicates, {counts.rejected:,} rejected, {counts.given_up:,} never taken; "
        f"{sum(counts.refused.values()):,} calls refused{_of_what(counts.refused)}, {counts.resent:,} sent again",
    ]
    if events.latency_ms:
        lines.append(f"  /events     {_percentiles(events.latency_ms)}")
    if counts.clicked:
        lines.append(
            f"  freshness   {_percentiles(events.freshness_ms) or 'too few samples'}; {counts.reflected:,} of "
            f"{counts.clicked:,} very next answers reflect the click"
        )
    if counts.unmeasured:
        lines.append(f"  unmeasured  {listed(counts.unmeasured)}")
    return lines


def _objective_line(of_what: str, one: JudgedObjective) -> str:
    met = "met   " if one.met else "MISSED"
    return f"  {met}      {f'{of_what} {one.expression}':<20} found {_found(one)}"


def _found(one: JudgedObjective) -> str:
    return _milliseconds(one.value) if one.expression.startswith("p(") else f"{one.value:.3%}"


def _percentiles(found: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} {_milliseconds(ms)}" for name, ms in found.items())


def _of_what(counter: Mapping[str, int]) -> str:
    return f" ({listed(counter)})" if counter else ""


def _milliseconds(value: float | None) -> str:
    return "beyond any bound" if value is None else f"{value:.2f} ms"


def listed(counter: Mapping[str, int]) -> str:
    """Each kind with its number."""
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counter.items()))

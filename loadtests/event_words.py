"""What a run found out about events, as lines for a terminal."""

from collections.abc import Mapping

from loadtests.event_verdict import EventsVerdict
from loadtests.objective_words import describe_objective, listed, percentiles


def describe_events(events: EventsVerdict) -> list[str]:
    counts = events.counts
    lines = [
        *(describe_objective(one, "events") for one in events.objectives),
        *(describe_objective(one, "freshness") for one in events.freshness_objectives),
        f"  events      {counts.sent:,} sent in {counts.calls:,} calls: {counts.accepted:,} accepted, "
        f"{counts.duplicates:,} duplicates, {counts.rejected:,} rejected, {counts.given_up:,} never taken; "
        f"{sum(counts.refused.values()):,} calls refused{_of_what(counts.refused)}, {counts.resent:,} sent again",
    ]
    if events.latency_ms:
        lines.append(f"  /events     {percentiles(events.latency_ms)}")
    if counts.clicked:
        lines.append(
            f"  freshness   {percentiles(events.freshness_ms) or 'too few samples'}; {counts.reflected:,} of "
            f"{counts.clicked:,} very next answers reflect the click"
        )
    if counts.unmeasured:
        lines.append(f"  unmeasured  {listed(counts.unmeasured)}")
    return lines


def _of_what(counter: Mapping[str, int]) -> str:
    return f" ({listed(counter)})" if counter else ""

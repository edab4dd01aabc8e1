"""What a run found out about events, as a section of the page."""

from loadtests import report_style as look
from loadtests.event_verdict import EventsVerdict
from loadtests.objective_words import listed
from loadtests.report_style import Html, facts, milliseconds, section, table


def events_section(events: EventsVerdict) -> Html:
    counts = events.counts
    judged = [("events", one) for one in events.objectives]
    judged += [("freshness", one) for one in events.freshness_objectives]
    percents = {
        "POST /events": events.latency_ms,
        "from the 202 to the first answer that reflects the event": events.freshness_ms,
    }
    tables = [
        table(["", *found], [[name, *map(milliseconds, found.values())]])
        for name, found in percents.items()
        if found
    ]
    return section(
        "Events",
        look.objectives_table(judged) if judged else "",
        *tables,
        facts([
            ("sent", f"{counts.sent:,} events in {counts.calls:,} calls; {counts.resent:,} calls again"),
            ("answered", f"{counts.accepted:,} accepted, {counts.duplicates:,} duplicates, "
             f"{counts.rejected:,} rejected, {counts.given_up:,} never taken"),
            ("freshness", f"{counts.reflected:,} of {counts.clicked:,} very next answers reflect the click"),
            ("not measured", listed(counts.unmeasured) or "0"),
        ]),
        look.counted("Refused calls", counts.refused, max(counts.calls + counts.resent, 1), "calls"),
    )  # fmt: skip

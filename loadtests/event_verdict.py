"""What a run found out about POST /events: structs for the verdict's JSON, its words and its page."""

from collections.abc import Sequence

import msgspec
from hdrh.histogram import HdrHistogram

from contracts.slo import Objective
from loadtests.event_tally import EventCounts, EventTally
from loadtests.objectives import JudgedObjective, judge_simple, percentile_ms
from loadtests.validity import samples_needed

_PERCENTS = (50.0, 90.0, 99.0, 99.9)


class EventsVerdict(msgspec.Struct, forbid_unknown_fields=True):
    """Percentiles in milliseconds, None beyond any bound; those with too few samples are left out.

    `freshness_ms`: from the 202 to the first answer that reflects the event. `problems`: why the run gives no
    figures; the counts hold all the same.
    """

    counts: EventCounts
    problems: list[str] = []
    objectives: list[JudgedObjective] = []
    freshness_objectives: list[JudgedObjective] = []
    latency_ms: dict[str, float | None] = {}
    freshness_ms: dict[str, float | None] = {}

    @property
    def met(self) -> bool:
        return all(one.met for one in (*self.objectives, *self.freshness_objectives))


def judge_events(
    tally: EventTally, objectives: Sequence[Objective], freshness: Sequence[Objective]
) -> EventsVerdict:
    """`objectives` hold for the calls that were due, `freshness` for the clicks after which a user asked again."""
    counts = tally.counts
    problems = [
        *_find_too_few("calls of /events", counts.calls, objectives),
        *_find_too_few("measurements of freshness", counts.clicked, freshness),
    ]
    if problems:
        return EventsVerdict(counts, problems)
    answered = tally.latency_us.get_total_count()
    return EventsVerdict(
        counts,
        objectives=judge_simple(objectives, tally.latency_us, answered, counts.calls),
        freshness_objectives=judge_simple(freshness, tally.freshness_us, counts.reflected, counts.clicked),
        latency_ms=_percentiles(tally.latency_us, counts.calls),
        freshness_ms=_percentiles(tally.freshness_us, counts.clicked),
    )


def _find_too_few(what: str, found: int, objectives: Sequence[Objective]) -> list[str]:
    percents = [objective.percent for objective in objectives if objective.percent is not None]
    needed = samples_needed(max(percents)) if percents else min(1, len(objectives))
    if found >= needed:
        return []
    return [
        f"too few {what}: found {found:,}, expected at least {needed:,}. Run longer, or with more of them "
        "(--events-rate, --freshness-percent)."
    ]


def _percentiles(found_us: HdrHistogram, begun: int) -> dict[str, float | None]:
    return {
        f"p{percent:g}": percentile_ms(found_us, percent, begun)
        for percent in _PERCENTS
        if begun >= samples_needed(percent)
    }

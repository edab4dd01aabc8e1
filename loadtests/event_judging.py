"""A verdict on answers and on events together: the worse of the two counts."""

import msgspec

from loadtests.event_verdict import EventsVerdict
from loadtests.verdict import Verdict


def include_events(verdict: Verdict, events: EventsVerdict) -> Verdict:
    """A run with too few events gives no figures at all: half of what was asked for cannot be said."""
    if events.problems:
        nothing = {"figures": None, "objectives": [], "seconds": [], "curve": []}
        problems = [*verdict.problems, *events.problems]
        return msgspec.structs.replace(verdict, outcome="not valid", problems=problems, events=events, **nothing)
    missed = verdict.outcome == "met" and not events.met
    return msgspec.structs.replace(verdict, outcome="missed" if missed else verdict.outcome, events=events)

"""POST /events: what users did, recorded at once, so that their very next answer knows it."""

import msgspec

from contracts.events import Event
from contracts.sections import Settings
from service import telemetry
from service.errors import NothingAccepted, Overloaded
from service.event_intake import Rejected, parse_events
from service.event_store import EventStore, Recordable
from service.rollout import Rollout
from service.trending import Trending


class Recorded(msgspec.Struct):
    """The body of a 202 from POST /events."""

    request_id: str
    accepted: int
    duplicates: int
    rejected: list[Rejected]


class EventRecorder:
    """Checks, records and counts the events of one call."""

    def __init__(self, settings: Settings, rollout: Rollout, store: EventStore, trending: Trending) -> None:
        self._settings = settings.events
        self._rollout = rollout
        self._store = store
        self._trending = trending
        self._weights = dict(zip(settings.events.types, settings.events.weights, strict=True))
        self._in_flight = 0

    def enter(self) -> None:
        """Count one call, until it leaves. Raises `Overloaded` when too many are in already."""
        if self._in_flight >= self._settings.max_in_flight:
            raise Overloaded(
                f"{self._in_flight} calls of /events are in this worker, the limit is "
                f"{self._settings.max_in_flight}; send the same events again in a second"
            )
        self._in_flight += 1

    def leave(self) -> None:
        self._in_flight -= 1

    async def record(self, body: bytes, request_id: str) -> Recorded:
        """Raises `InvalidRequest`, and `EventsUnavailable` when Redis does not confirm."""
        events, rejected = parse_events(body, self._settings)
        telemetry.count_events("rejected", len(rejected))
        if not events:
            raise NothingAccepted(_say(rejected), rejected)
        numbers = [self._number_of(event) for event in events]
        seen = [n if e.type in self._settings.history else None for e, n in zip(events, numbers, strict=True)]
        are_new = await self._store.record([Recordable(*each) for each in zip(events, seen, strict=True)])
        for event, number, is_new in zip(events, numbers, are_new, strict=True):
            if is_new and number is not None:
                self._trending.count(number, self._weights[event.type])
        accepted = sum(are_new)
        telemetry.count_events("accepted", accepted)
        telemetry.count_events("duplicate", len(events) - accepted)
        return Recorded(request_id, accepted, len(events) - accepted, rejected)

    def _number_of(self, event: Event) -> int | None:
        """None for an item that the catalog does not hold: the stream keeps it, the history cannot."""
        catalog = self._rollout.current.catalog
        index = catalog.index_of(event.item_id)
        return None if index is None else int(catalog.item_numbers[index])


def _say(rejected: list[Rejected]) -> str:
    """The first few in words: an error has one message."""
    words = "; ".join(f"events[{one.index}] {one.code}: {one.message}" for one in rejected[:3])
    return f"none of the {len(rejected)} events can be recorded: {words}{'; …' if len(rejected) > 3 else ''}"

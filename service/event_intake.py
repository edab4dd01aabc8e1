"""What POST /events takes: each event is checked by itself, so that one wrong event costs only itself."""

from datetime import datetime
from time import time
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.events import Event
from contracts.sections import Events
from service.errors import InvalidRequest
from service.prediction import Id, explain, has_duplicate_keys

MAX_EVENTS = 500
MAX_POSITION = 1_000_000
REJECTIONS = ("invalid_event", "unknown_type", "invalid_timestamp")
AHEAD_MS = 5 * 60 * 1000
"""How far a client's clock may be before ours."""
EARLIEST_MS = 100_000_000_000
"""March 1973: who sends an earlier time sent seconds."""


class IncomingEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event as clients send it. `timestamp`: milliseconds since 1970, or RFC 3339 with its offset."""

    event_id: Id
    type: Id
    user_id: Id
    item_id: Id
    timestamp: int | Annotated[datetime, Meta(tz=True)]
    request_id: Id | UnsetType = UNSET
    position: Annotated[int, Meta(ge=1, le=MAX_POSITION)] | UnsetType = UNSET
    value: float | UnsetType = UNSET


class EventsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /events."""

    events: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_EVENTS)]


class Rejected(msgspec.Struct, gc=False):
    """`index`: the place of the event in the request, from 0. `code`: one of REJECTIONS."""

    index: int
    code: str
    message: str


_BODY = msgspec.json.Decoder(EventsRequest)
_EVENT = msgspec.json.Decoder(IncomingEvent)


def parse_events(body: bytes, settings: Events) -> tuple[list[Event], list[Rejected]]:
    """The events that can be recorded, in their order, and what is wrong with the others.

    Raises `InvalidRequest` for a body that is no list of 1 to 500 events.
    """
    try:
        raw_events = _BODY.decode(body).events
    except msgspec.ValidationError as error:
        raise explain(str(error), EventsRequest) from None
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not valid UTF-8; expected JSON in UTF-8") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply; expected a list of flat events") from None
    except msgspec.DecodeError as error:
        found = "is empty" if not body else f"is not valid JSON: {error}"
        raise InvalidRequest(f'the body {found}; expected an object such as {{"events": [...]}}') from None
    accepted, rejected = [], []
    latest_ms = int(time() * 1000) + AHEAD_MS
    for index, raw in enumerate(raw_events):
        try:
            accepted.append(_parse_event(bytes(raw), settings, latest_ms))
        except _Refusal as refusal:
            rejected.append(Rejected(index, *refusal.args))
    return accepted, rejected


class _Refusal(Exception):
    """Code and message."""


def _parse_event(raw: bytes, settings: Events, latest_ms: int) -> Event:
    try:
        found = _EVENT.decode(raw)
    except UnicodeDecodeError:
        raise _Refusal("invalid_event", "the event is not valid UTF-8; expected JSON in UTF-8") from None
    except msgspec.DecodeError as error:
        raise _Refusal("invalid_event", explain(str(error), IncomingEvent).message) from None
    if has_duplicate_keys(raw, found):
        raise _Refusal("invalid_event", "a key stands twice in the event; expected each key once")
    if found.type not in settings.types:
        known = ", ".join(settings.types)
        raise _Refusal("unknown_type", f"type: found {found.type!r}, expected one of {known} ([events] types)")
    optional = {
        name: value for name in ("request_id", "position", "value") if (value := getattr(found, name)) is not UNSET
    }
    moment = _milliseconds(found.timestamp, latest_ms)
    return Event(found.event_id, found.type, found.user_id, found.item_id, moment, **optional)


def _milliseconds(timestamp: int | datetime, latest_ms: int) -> int:
    moment = timestamp if isinstance(timestamp, int) else round(timestamp.timestamp() * 1000)
    if moment < EARLIEST_MS:
        problem = f"timestamp: found {moment}, which is before 1973; expected milliseconds since 1970, not seconds"
        raise _Refusal("invalid_timestamp", problem)
    if moment > latest_ms:
        ahead = (moment - latest_ms + AHEAD_MS) / 1000
        problem = f"timestamp: found {moment}, which is {ahead:,.0f} s ahead; allowed are {AHEAD_MS // 1000} s"
        raise _Refusal("invalid_timestamp", problem)
    return moment
